// What the server does while it runs CREATE EXTENSION or ALTER EXTENSION UPDATE.
#pragma once

#include "bridge/live_object.hpp"
#include "core/failure.hpp"

namespace claude_gpt::bridge::extension {

// The functions of a database are those of its CREATE EXTENSION or ALTER EXTENSION UPDATE, the library is the one that
// is installed now: between the two, arguments may have changed their order.
inline constinit bool version_is_verified = false;

// Whether the database's functions are of this library's version; also where there is no extension, but functions that
// somebody made by hand. True is remembered until a function of the database changes, unless the current transaction
// may take it back.
bool version_fits();
// 55000 if not. Every entry point asks it, as long as nothing is remembered.
void require_version();
// What is said to functions of an older version.
core::Failure outdated_functions(const char* message);

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
