// Work that is tried: an ERROR undoes it and is told, instead of ending the procedure or the worker.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bridge/server_error.hpp"
#include "bridge/spi.hpp"
#include "bridge/transactions.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::api {

struct Problem {
  std::string sqlstate;
  std::string message;
  ErrorData* error = nullptr;  // where the server raised it

  [[noreturn]] void raise() const;
};

// Runs `work` in a transaction of its own, and commits. Locks are waited for a quarter of a second at most; a try
// that ends for want of one, or for a conflict with others, is repeated after a pause, twenty tries within twenty
// seconds. `rest`: to sleep before.
std::optional<Problem> attempt(bridge::Transactions& transactions, const std::function<void(bridge::Spi&)>& work,
                               core::Duration rest = {});

}  // namespace claude_gpt::api
