#pragma once
// PostgreSQL's failures as Errors.

#include <string_view>

#include "base/core/result.h"

namespace base::store {

/// `state`: the five signs of SQLSTATE; `words`: the server's message, without values of rows.
std::unexpected<Error> postgres_error(std::string_view shown, std::string_view state,
                                      std::string_view words, std::string_view sql);

/// The failure was none of the statement's doing: run again, it may succeed.
bool worth_again(std::string_view state);

/// The server says it and hangs up.
bool ends_connection(std::string_view state);

/// Why no connection came about. `words`: what libpq says.
std::unexpected<Error> postgres_unreachable(std::string_view shown, std::string_view words);

}  // namespace base::store
