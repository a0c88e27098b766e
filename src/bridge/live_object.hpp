// Counts the bridge's objects that must not outlive a call. Zero between calls, also after an ERROR:
// the setting claude_gpt.live_objects shows it to the test that makes every server call fail in turn.
#pragma once

namespace claude_gpt::bridge {

inline constinit int live_objects = 0;

class LiveObject {
 protected:
  LiveObject() noexcept { ++live_objects; }
  ~LiveObject() { --live_objects; }
  LiveObject(const LiveObject&) = delete;
  LiveObject& operator=(const LiveObject&) = delete;
};

}  // namespace claude_gpt::bridge
