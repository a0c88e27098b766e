// Cryptographically strong random bits, from the server's generator.
#pragma once

#include <cstddef>
#include <cstdint>

namespace claude_gpt::bridge {

// Drawn in blocks, since each draw from the generator costs more than the id it goes into.
std::uint64_t random_bits();

// For what is drawn before the server's processes part: those keep nothing of it. FATAL where there is none.
void draw_once(void* bytes, std::size_t size);

}  // namespace claude_gpt::bridge
