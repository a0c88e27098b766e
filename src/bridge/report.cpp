#include "bridge/report.hpp"

#include "bridge/guard.hpp"

namespace claude_gpt::bridge::report {

namespace {

void send(int level, const char* message, const char* hint) {
  guarded([=] { ereport(level, (errmsg_internal("%s", message), hint != nullptr ? errhint("%s", hint) : 0)); });
}

}  // namespace

void notice(const char* message, const char* hint) { send(NOTICE, message, hint); }

void warning(const char* message, const char* hint) { send(WARNING, message, hint); }

void warning(const char* message, ErrorData* cause, const char* hint) {
  guarded([=] {
    ereport(WARNING, (errcode(cause->sqlerrcode), errmsg_internal("%s", message),
                      errdetail_internal("%s", cause->message), errhint("%s", hint)));
  });
}

}  // namespace claude_gpt::bridge::report
