#include "base/core/error.h"

#include <array>

namespace base {
namespace {

struct CodeFacts {
    std::string_view name;
    int http_status;
    int exit_status;
};

// Indexed by Code. Exit statuses follow sysexits(3) where it has a fitting one.
constexpr std::array<CodeFacts, 14> kFacts = {{
    {"invalid_argument", 400, 64},
    {"not_found", 404, 66},
    {"already_exists", 409, 73},
    {"unauthenticated", 401, 77},
    {"permission_denied", 403, 77},
    {"failed_precondition", 400, 78},
    {"payload_too_large", 413, 64},
    {"resource_exhausted", 429, 75},
    {"deadline_exceeded", 504, 75},
    {"cancelled", 499, 130},
    {"unavailable", 503, 69},
    {"data_loss", 500, 65},
    {"unimplemented", 501, 69},
    {"internal", 500, 70},
}};

const CodeFacts& facts(Code code) {
    return kFacts[static_cast<std::size_t>(code)];
}

}  // namespace

std::string_view code_name(Code code) {
    return facts(code).name;
}
int http_status(Code code) {
    return facts(code).http_status;
}
int exit_status(Code code) {
    return facts(code).exit_status;
}

Error Error::with_context(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
}

}  // namespace base
