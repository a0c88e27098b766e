// The one way to absorb an ERROR: what was done before it is rolled back with it.
#pragma once

#include <utility>

#include "bridge/live_object.hpp"
#include "bridge/server_error.hpp"

namespace claude_gpt::bridge {

class Subtransaction : LiveObject {
 public:
  Subtransaction();
  void commit();
  void roll_back();

 private:
  void* outer_memory_;
  void* outer_owner_;
};

// Runs `work` in a subtransaction. Returns nullptr after it committed, or the error after it was rolled back.
template <typename Work> ErrorData* with_subtransaction(Work&& work) {
  Subtransaction subtransaction;
  ErrorData* error = nullptr;
  try {
    std::forward<Work>(work)();
    subtransaction.commit();
  } catch (const ServerError& caught) {
    error = caught.error();
  }
  if (error != nullptr) subtransaction.roll_back();
  return error;
}

}  // namespace claude_gpt::bridge
