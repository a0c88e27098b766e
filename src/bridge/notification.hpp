// NOTIFY.
#pragma once

#include <cstdint>

namespace claude_gpt::bridge::notification {

// Sends it when the transaction commits; equal ones of a transaction are sent once. `payload` is shorter than 8000
// bytes.
void send(const char* channel, const char* payload);

// How full the server's queue of notifications is, from 0 to 1: as full as whoever listens and is slowest leaves it.
double queue_usage();

// A number of this transaction, which no earlier one of this session had.
std::uint32_t transaction_number();

}  // namespace claude_gpt::bridge::notification
