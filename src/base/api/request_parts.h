#pragma once
// What routes of every plane read from a request, and how they answer.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/http/message.h"
#include "base/json/json.h"

namespace base::api {

http::Response json_answer(int status, const json::object& body);

/// An empty body is an empty object: every field has a default. Errors: invalid_argument.
Result<json::object> body_of(const http::Request& request);

/// Header X-Dougong-Tenant, "default" without it. Errors: invalid_argument.
Result<std::string> tenant_of(const http::Request& request);

/// The number that `{name}` of the path is. Errors: invalid_argument, about `what`.
Result<std::uint64_t> number_of(const http::Request& request, std::string_view name,
                                std::string_view what);

/// Every query parameter of that name, decoded, in order.
std::vector<std::string> query_all(const http::Request& request, std::string_view name);

/// True for "1" and "true"; false when absent. Errors: invalid_argument for any other text.
Result<bool> query_flag(const http::Request& request, std::string_view name);

/// `otherwise` when absent. Errors: invalid_argument naming the range.
Result<std::int64_t> query_number(const http::Request& request, std::string_view name,
                                  std::int64_t min, std::int64_t max, std::int64_t otherwise);

}  // namespace base::api
