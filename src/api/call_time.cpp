#include "api/call_time.hpp"

#include "api/config.hpp"
#include "bridge/clock.hpp"

namespace claude_gpt::api {

CallTime CallTime::of(core::Instant moment) { return {moment, billing_day(moment).date, billing_month(moment)}; }

CallTime CallTime::of_now() { return of(bridge::clock::now()); }

}  // namespace claude_gpt::api
