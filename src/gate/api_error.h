#pragma once
// Errors as OpenAI's clients expect them: {"error": {"message", "type", "param", "code"}}.

#include <string>
#include <string_view>

#include "base/core/error.h"
#include "base/http/message.h"

namespace gate {

struct ApiError {
    int status = 500;
    std::string message;
    std::string type = "server_error";
    std::string param;  ///< the field at fault; empty gives null
    std::string code;   ///< for programs: "model_not_found", "context_length_exceeded"...
    int retry_after_s = 0;
};

/// What a request parser found wrong. not_found: a field nobody knows; failed_precondition: a
/// required one is missing; unimplemented: known and refused. All are 400: OpenAI's clients repeat
/// requests answered with 5xx, and repeating would not help here.
ApiError request_error(const base::Error& error);

/// What the backend answered. payload_too_large, or invalid_argument about "context_tokens", is
/// context_length_exceeded and about `prompt_field`; resource_exhausted is a full queue and says
/// when to come back.
ApiError backend_error(const base::Error& error, std::string_view prompt_field = "messages");

base::http::Response render(const ApiError& error);
/// The body alone, for an error in the middle of a stream.
std::string error_json(const ApiError& error);

}  // namespace gate
