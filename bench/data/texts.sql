-- Texts as people write them: 20,000 in English-like words, with the frequencies of a natural language, and
-- 20,000 in Chinese without spaces. About 300 characters and about 120.
SELECT setseed(0.5) \g /dev/null
CREATE SCHEMA bench;

CREATE TEMP TABLE words AS
SELECT n, CASE
    WHEN n <= 24 THEN (string_to_array('the of and to in is you that it he was for on are as with his they at be this have from or', ' '))[n]
    ELSE syllables[1 + n % 41] || syllables[1 + n / 41 % 41] || CASE WHEN n > 1700 THEN syllables[1 + n / 1681 % 41] ELSE '' END
         || endings[1 + n % 7]
    END AS word
FROM generate_series(1, 20000) AS n,
    string_to_array('ba ce di fo gu har jel kim lor mu na pe qui ro sa te vi wo xa yel zi bra cle dri flo gru ster than pla sen tor mar ver con per ent al is ou em ra', ' ') AS syllables,
    string_to_array(',s,ed,ing,,ly,er', ',') AS endings;
CREATE UNIQUE INDEX ON words (n);

-- Zipf: the n-th word of the vocabulary comes about 1/n as often as the first.
CREATE TABLE bench.texts AS
WITH drawn AS (
    SELECT position / 45 AS n, position, floor(exp(random() * ln(20000)))::int AS word
    FROM generate_series(0, 20000 * 45 - 1) AS position
)
SELECT d.n + 1 AS number, string_agg(w.word, ' ' ORDER BY d.position) AS english, NULL::text AS chinese
FROM drawn AS d JOIN words AS w ON w.n = d.word
GROUP BY d.n;

-- From the 2,000 characters that start at U+4E00, with a comma or full stop about every twelfth.
UPDATE bench.texts AS t SET chinese = c.text
FROM (
    SELECT position / 120 + 1 AS number, string_agg(
        CASE WHEN random() < 0.06 THEN '，' WHEN random() < 0.03 THEN '。'
             ELSE chr(19968 + floor(exp(random() * ln(2000)))::int) END, '') AS text
    FROM generate_series(0, 20000 * 120 - 1) AS position
    GROUP BY 1
) AS c WHERE c.number = t.number;
ALTER TABLE bench.texts ADD PRIMARY KEY (number);
VACUUM FULL ANALYZE bench.texts;
