// The moment in which a call is decided, and what day and month it is then.
#pragma once

#include "core/calendar.hpp"

namespace claude_gpt::api {

struct CallTime {
  core::Instant now;
  core::Date today;  // in the billing time zone
  core::BillingMonth month;

  static CallTime of_now();
  static CallTime of(core::Instant moment);
};

}  // namespace claude_gpt::api
