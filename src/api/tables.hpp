// The columns that the code uses, with the types that it takes them for.
#pragma once

namespace claude_gpt::api {

// Has every statement check them. Called when the library is loaded.
void declare_table_types();

}  // namespace claude_gpt::api
