// The state of the tables that every function needs.
#pragma once

namespace claude_gpt::api {

// 55000 with the next step if the tables are missing or older than this library.
void require_current_tables();

// Whether they are neither.
bool tables_are_current();

}  // namespace claude_gpt::api
