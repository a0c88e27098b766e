#include "bridge/notification.hpp"

#include "bridge/guard.hpp"

extern "C" {
#include <commands/async.h>
#include <storage/proc.h>
#include <utils/fmgrprotos.h>
}

namespace claude_gpt::bridge::notification {

void send(const char* channel, const char* payload) {
  guarded([=] { Async_Notify(channel, payload); });
}

double queue_usage() {
  return guarded([] { return DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, 0)); });
}

std::uint32_t transaction_number() { return compat::local_transaction_number(); }

}  // namespace claude_gpt::bridge::notification
