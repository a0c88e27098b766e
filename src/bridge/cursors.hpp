// The cursors of the session while code of somebody else runs. One that it opened and left would be fetched from by
// whoever called, with his rights (42501); one that was open before it may not close, to put its own in the place.
// A cursor of the client's protocol is one as well. Costs a look at each open cursor, which is mostly the running
// statement alone. An error in between drops what was opened since.
#pragma once

#include <vector>

namespace claude_gpt::bridge {

class CursorsBefore {
 public:
  void note();
  // 42501 if one is open that was not before.
  void require_no_other() const;
  // Lets those from before be closed again.
  void release() noexcept;

 private:
  struct Cursor {
    void* portal;
    bool was_pinned;
  };
  std::vector<Cursor> cursors_;
};

}  // namespace claude_gpt::bridge
