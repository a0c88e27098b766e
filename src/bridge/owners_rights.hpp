// For code of the server that runs with the rights of who owns a relation, as by SPI: within one guarded call, where
// RightsScope cannot stand. After an error the server gives the rights back by itself. Private to the bridge.
#pragma once

#include "bridge/server.hpp"

namespace claude_gpt::bridge {

class OwnersRights {
 public:
  explicit OwnersRights(Relation relation) {
    GetUserIdAndSecContext(&user_, &security_);
    SetUserIdAndSecContext(relation->rd_rel->relowner,
                           security_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  }
  void give_back() const { SetUserIdAndSecContext(user_, security_); }

 private:
  Oid user_ = InvalidOid;
  int security_ = 0;
};

}  // namespace claude_gpt::bridge
