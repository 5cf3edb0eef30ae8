#include "flow/queue/shared_places.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace flow {

std::uint64_t fair_share(std::uint64_t places, std::span<const PlaceWant> wants,
                         std::int64_t worker) {
    // One place after the other would be the same; whole rounds are given at once.
    static constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
    struct Share {
        PlaceWant who;
        std::uint64_t has = 0;
    };
    std::vector<Share> open;
    for (const PlaceWant& one : wants) {
        if (one.want != 0) open.push_back({one});
    }
    const auto age = [](const Share& share) {
        return std::tuple(share.who.since_ms == 0 ? kNever : share.who.since_ms, share.who.worker);
    };
    std::ranges::sort(open, {}, age);
    std::uint64_t mine = 0;
    while (places != 0 && !open.empty()) {
        std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
        for (const Share& share : open) least = std::min(least, share.who.want - share.has);
        const std::uint64_t round = std::min(least, places / open.size());
        for (Share& share : open) {
            const std::uint64_t more = round != 0 ? round : (places != 0 ? 1 : 0);
            share.has += more;
            places -= more;
            if (share.who.worker == worker) mine = share.has;
        }
        std::erase_if(open, [](const Share& share) { return share.has == share.who.want; });
    }
    return mine;
}

}  // namespace flow
