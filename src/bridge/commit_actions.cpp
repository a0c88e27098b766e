#include "bridge/commit_actions.hpp"

#include <array>

#include "bridge/server.hpp"

namespace claude_gpt::bridge {

namespace {

using Action = void (*)();
constinit std::array<Action, 4> actions = {};
constinit bool commits_are_watched = false;

void on_transaction_end(XactEvent event, void*) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  for (Action& place : actions) {
    const Action action = place;
    place = nullptr;
    // What was prepared may commit in another session, at a time that nobody tells us: better once too often.
    if (action != nullptr && event != XACT_EVENT_ABORT) action();
  }
}

}  // namespace

void add_commit_action(Action action) {
  if (!commits_are_watched) RegisterXactCallback(on_transaction_end, nullptr);
  commits_are_watched = true;
  for (Action& place : actions) {
    if (place != nullptr && place != action) continue;
    place = action;
    return;
  }
}

}  // namespace claude_gpt::bridge
