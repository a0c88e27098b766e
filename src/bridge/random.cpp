#include "bridge/random.hpp"

#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

namespace {

constexpr int k_block = 32;
constinit std::uint64_t block[k_block] = {};
constinit int left = 0;

}  // namespace

std::uint64_t random_bits() {
  if (left == 0) {
    guarded([] {
      if (!pg_strong_random(block, sizeof block))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
    });
    left = k_block;
  }
  return block[--left];
}

void draw_once(void* bytes, std::size_t size) {
  if (!pg_strong_random(bytes, size))
    ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
}

}  // namespace claude_gpt::bridge
