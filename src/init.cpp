// The library is loaded: magic block, and one call per subsystem.
#include "bridge/library.hpp"

CLAUDE_GPT_LIBRARY { claude_gpt::bridge::settings::define(); }
