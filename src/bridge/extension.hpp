// What the server does while it runs CREATE EXTENSION or ALTER EXTENSION UPDATE.
#pragma once

#include "bridge/live_object.hpp"

namespace claude_gpt::bridge::extension {

// True inside the script of CREATE EXTENSION or ALTER EXTENSION UPDATE.
bool script_is_running();

// Makes other sessions that call this wait until the transaction ends.
void lock_schema();

// Objects made within the scope belong to the user, not to the extension.
class OutsideOfExtension : LiveObject {
 public:
  OutsideOfExtension();
  ~OutsideOfExtension();

 private:
  bool was_creating_;
};

}  // namespace claude_gpt::bridge::extension
