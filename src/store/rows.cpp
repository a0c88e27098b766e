#include "store/rows.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Nothing is written directly yet.
constexpr HeapDescription k_users{.table = Users::k_name, .columns = Users::k_columns, .written = 0, .key = Users::id};

constinit HeapTable users_table{k_users};

}  // namespace

HeapTable& users() { return users_table; }

}  // namespace claude_gpt::store
