#pragma once

namespace claude_gpt::worker {

// In _PG_init: the launcher starts with the server, and commands that need a database get it from our workers.
void register_launcher();

}  // namespace claude_gpt::worker
