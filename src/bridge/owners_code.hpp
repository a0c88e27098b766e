// Keeps what the owners of tables wrote from the rights of a superuser who restores their dump
// (claude_gpt.bind_code_to_owners). Three rules for a session in which it is on, which it then is until the session
// ends:
// 1. A function of a role that cannot become a superuser runs with the rights of that role where a superuser's would be
// lent to it.
// 2. COPY ... FROM and the proof of a CHECK run with the rights of the table's owner, or of who owns what the table is
// made of.
// 3. Whatever else a superuser's command evaluates may call immutable functions written in C alone: 42501 names any
// other, so
//    that a way which nobody thought of ends the restore instead of lending rights.
#pragma once

namespace claude_gpt::bridge::owners_code {

// From now on, in this session.
void bind();

}  // namespace claude_gpt::bridge::owners_code
