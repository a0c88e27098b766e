// Text and JSON as PostgreSQL can store them: U+FFFD, the replacement character, stands where a model says U+0000 or half
// a surrogate pair, which text (22021) and jsonb (22P05, 22P02) refuse.

const unstorable = /\0|\p{Surrogate}/gu; // of a whole pair the expression sees one character, which is no surrogate

export function storableText(text: string): string {
  return text.replace(unstorable, '\ufffd');
}

// JSON.stringify writes these characters, in keys and values, as escapes. The last alternative steps over other escapes,
// so that a backslash that stands for itself begins none.
const escapes = /\\(?:u0000|ud[89a-f][0-9a-f]{2}|.)/g;

// As text, since pg makes a PostgreSQL array of an array. null for what is no JSON: it is not worth the reply.
export function storableJson(value: unknown): string | null {
  try {
    const json: string | undefined = JSON.stringify(value ?? null);
    if (json === undefined || json === 'null') return null;
    return json.replace(escapes, (escape) => (/^\\u(?:0000|d)/.test(escape) ? '\\ufffd' : escape));
  } catch {
    return null; // a circle, a BigInt
  }
}
