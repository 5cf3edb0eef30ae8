#pragma once
// What /openapi.json says of a plane's routes: one line a route, and a test of each plane compares
// its lines with its router.

#include <span>
#include <string_view>

#include "base/json/json.h"

namespace base::api {

struct Operation {
    std::string_view method;  ///< lower case
    std::string_view path;    ///< as it is given to the router
    std::string_view summary, answer;
    json::object (*body)() = nullptr;  ///< an example with every field
    std::span<const std::string_view> query = {};
    bool streams = false;  ///< server-sent events, too
    bool makes = false;    ///< 201
};

/// Path items by path. Parameters named in `numbers` are integers.
json::object paths_of(std::span<const Operation> operations,
                      std::span<const std::string_view> numbers);

}  // namespace base::api
