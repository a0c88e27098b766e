// Cryptographically strong random bits, from the server's generator.
#pragma once

#include <cstdint>

namespace claude_gpt::bridge {

// Drawn in blocks, since each draw from the generator costs more than the id it goes into.
std::uint64_t random_bits();

}  // namespace claude_gpt::bridge
