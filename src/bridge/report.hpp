// Messages to the client that are no errors.
#pragma once

#include "bridge/server_error.hpp"

namespace claude_gpt::bridge::report {

// `hint` may be nullptr.
void notice(const char* message, const char* hint);
void warning(const char* message, const char* hint);
// An error that was absorbed: its SQLSTATE is kept, its message becomes the DETAIL.
void warning(const char* message, ErrorData* cause, const char* hint);

}  // namespace claude_gpt::bridge::report
