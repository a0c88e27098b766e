// Entry points of released SQL that are called otherwise now. What takes other arguments than before has another
// symbol: a library that is still loaded would read the new arguments in the old order. The old ones stay for databases
// that are not updated yet, and only say so.
#include "bridge/entry.hpp"
#include "bridge/extension.hpp"

namespace claude_gpt::api {

using namespace bridge;

#define CLAUDE_GPT_REPLACED_FUNCTION(name)                                          \
  CLAUDE_GPT_FUNCTION(name) {                                                       \
    throw extension::outdated_functions(                                            \
        "this function of claude_gpt is older than the library: it is called with " \
        "other arguments now");                                                     \
  }

// Since 0.5.0 with the user first, or with more arguments, as claude_gpt_<name>_of_user.
CLAUDE_GPT_REPLACED_FUNCTION(reserve_usage)
CLAUDE_GPT_REPLACED_FUNCTION(begin_turn)
CLAUDE_GPT_REPLACED_FUNCTION(extend_usage)
CLAUDE_GPT_REPLACED_FUNCTION(settle_usage)
CLAUDE_GPT_REPLACED_FUNCTION(release_usage)
CLAUDE_GPT_REPLACED_FUNCTION(save_partial)
CLAUDE_GPT_REPLACED_FUNCTION(complete_turn)
CLAUDE_GPT_REPLACED_FUNCTION(fail_turn)

}  // namespace claude_gpt::api
