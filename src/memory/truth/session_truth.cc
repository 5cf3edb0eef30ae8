#include "memory/truth/session_truth.h"

#include <charconv>

#include "memory/truth/redis_truth.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::redis::Redis;

constexpr std::uint32_t kConnections = 8;

}  // namespace

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::unexpected<base::Error> no_such(std::string_view tenant, std::string_view id) {
    return fail(Code::not_found, "tenant {} has no memory {}", tenant, id);
}

Result<std::unique_ptr<SessionTruth>> open_session_truth(const StoreOptions& options,
                                                         const base::Clock& clock) {
    auto redis = DG_TRY(Redis::open(options.sessions, kConnections));
    return std::make_unique<RedisTruth>(std::move(redis), options, clock);
}

}  // namespace memory::truth
