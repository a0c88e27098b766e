// What makes the file a library that the server loads.
// CLAUDE_GPT_LIBRARY { ... } stands in init.cpp alone: the magic block and the body of _PG_init.
#pragma once

#include "bridge/server.hpp"
#include "bridge/settings.hpp"

#define CLAUDE_GPT_LIBRARY                                                   \
  extern "C" {                                                               \
  [[gnu::visibility("default")]] const Pg_magic_struct* Pg_magic_func(void); \
  [[gnu::visibility("default")]] void _PG_init(void);                        \
  }                                                                          \
  PG_MODULE_MAGIC;                                                           \
  void _PG_init(void)
