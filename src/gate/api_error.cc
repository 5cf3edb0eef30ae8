#include "gate/api_error.h"

#include <fmt/format.h>

#include "gate/json_text.h"

namespace gate {
namespace {

constexpr std::string_view kClientFault = "invalid_request_error";

}  // namespace

ApiError request_error(const base::Error& error) {
    ApiError out{400, error.message, std::string(kClientFault), error.subject, "invalid_value", 0};
    switch (error.code) {
        case base::Code::not_found:
            out.code = "unknown_parameter";
            break;
        case base::Code::failed_precondition:
            out.code = "missing_required_parameter";
            break;
        case base::Code::unimplemented:
            out.code = "unsupported_parameter";
            break;
        default:
            break;
    }
    if (error.subject.empty()) out.code = "invalid_json";
    return out;
}

ApiError backend_error(const base::Error& error, std::string_view prompt_field) {
    ApiError out{base::http_status(error.code),
                 error.message,
                 "server_error",
                 error.subject,
                 std::string(base::code_name(error.code)),
                 0};
    switch (error.code) {
        case base::Code::invalid_argument:
        case base::Code::failed_precondition:
            out.type = kClientFault;
            out.code = "invalid_value";
            if (error.subject != "context_tokens") break;
            [[fallthrough]];
        case base::Code::payload_too_large:
            out.status = 400;
            out.type = kClientFault;
            out.code = "context_length_exceeded";
            out.param = prompt_field;
            break;
        case base::Code::unimplemented:
            out.status = 400;
            out.type = kClientFault;
            out.code = "unsupported_value";
            break;
        case base::Code::not_found:
            out.type = kClientFault;
            if (error.subject == "cache_id") {
                out.code = "cache_not_found";
                break;
            }
            out.code = "model_not_found";
            out.param = "model";
            break;
        case base::Code::resource_exhausted:
            out.type = "rate_limit_error";
            out.code = "queue_full";
            out.retry_after_s = 1;
            break;
        case base::Code::unavailable:
            out.code = "not_ready";
            out.retry_after_s = 1;
            break;
        default:
            break;
    }
    return out;
}

std::string error_json(const ApiError& error) {
    std::string out = R"({"error":{"message":)";
    append_json_string(out, error.message);
    out += R"(,"type":)";
    append_json_string(out, error.type);
    out += R"(,"param":)";
    if (error.param.empty()) {
        out += "null";
    } else {
        append_json_string(out, error.param);
    }
    out += R"(,"code":)";
    append_json_string(out, error.code);
    out += "}}";
    return out;
}

base::http::Response render(const ApiError& error) {
    auto response = base::http::text_response(error.status, "application/json", error_json(error));
    if (error.retry_after_s > 0) {
        response.headers.add("Retry-After", fmt::format("{}", error.retry_after_s));
    }
    return response;
}

}  // namespace gate
