#include "agent/mcp/request_seal.h"

#include "base/core/base64.h"

namespace agent::mcp {

using base::Code;

std::string RequestSeal::close(const base::json::value& state, std::string_view bound) const {
    const base::json::array held{clock_.unix_ns() / 1'000'000 + keep_.count(), state};
    std::string out;
    base::append_base64(out, base::seal(key_, base::json::serialize(held), bound));
    return out;
}

base::Result<base::json::value> RequestSeal::open(std::string_view text,
                                                  std::string_view bound) const {
    const auto sealed = base::base64_decode(text);
    const auto plain = sealed ? base::unseal(key_, *sealed, bound) : std::nullopt;
    if (!plain) {
        return base::fail(Code::invalid_argument,
                          "'requestState' is not what this server gave for this call; make the "
                          "call again without it");
    }
    const base::json::value held = DG_TRY(base::parse_json(*plain));
    if (held.at(0).as_int64() < clock_.unix_ns() / 1'000'000) {
        return base::fail(Code::invalid_argument,
                          "'requestState' is too old; make the call again without it");
    }
    return held.at(1);
}

}  // namespace agent::mcp
