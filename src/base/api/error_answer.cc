#include "base/api/error_answer.h"

#include "base/json/json.h"

namespace base::api {

base::http::Response error_response(const base::Error& error) {
    const int status = base::http_status(error.code);
    base::json::object body = {{"message", error.message},
                               {"type", status == 429  ? "rate_limit_error"
                                        : status < 500 ? "invalid_request_error"
                                                       : "server_error"},
                               {"param", error.subject.empty() ? base::json::value(nullptr)
                                                               : base::json::value(error.subject)},
                               {"code", base::code_name(error.code)}};
    auto response = base::http::text_response(
        status, "application/json", base::to_text(base::json::object{{"error", std::move(body)}}));
    if (status == 429) response.headers.add("Retry-After", "1");
    return response;
}

}  // namespace base::api
