#include "engine/batch/admission.h"

#include <algorithm>

namespace engine {
namespace {

/// Tokens in whole pages with which both begin.
std::uint32_t common_tokens(const Generation& a, const Generation& b, std::uint32_t page_tokens) {
    if (a.scope() != b.scope()) return 0;
    const auto [at, other] = std::ranges::mismatch(a.tokens(), b.tokens());
    const auto tokens = static_cast<std::uint32_t>(at - a.tokens().begin());
    return tokens - tokens % page_tokens;
}

/// The pages that somebody of at least the same priority is about to compute and `generation`
/// begins with, when they are more than what is `matched`.
Awaited coming_prefix(const Generation& generation, std::uint32_t matched, Generations running,
                      std::uint32_t page_tokens) {
    for (const auto& other : running) {
        if (other == nullptr || other->priority() < generation.priority()) continue;
        if (other->rows_left() <= 1) continue;
        const std::uint32_t common = common_tokens(generation, *other, page_tokens);
        if (common > other->computed() && common > matched) return {other->id(), common};
    }
    return {};
}

bool still_coming(const Awaited& awaited, Generations running) {
    return awaited.tokens > 0 && std::ranges::any_of(running, [&](const auto& other) {
               return other != nullptr && other->id() == awaited.by &&
                      other->computed() < awaited.tokens;
           });
}

}  // namespace

std::uint32_t Admission::pages_expected(const Generation& generation) const {
    const std::uint32_t known = static_cast<std::uint32_t>(generation.tokens().size());
    const std::uint32_t more =
        forecast_.left(generation.completion_tokens(), generation.tokens_max());
    return pool_.geometry().pages_for(std::min(known + more, generation.window_tokens()));
}

std::uint32_t Admission::pages_promised(Generations running) const {
    std::uint32_t promised = 0;
    for (const auto& generation : running) {
        if (generation == nullptr) continue;
        const auto held = static_cast<std::uint32_t>(generation->kv().pages().size());
        const std::uint32_t expected = pages_expected(*generation);
        promised += expected - std::min(expected, held);
    }
    return promised;
}

bool Admission::too_late(const Generation& generation, std::uint32_t rows,
                         base::Instant now) const {
    if (generation.deadline() == base::Instant::never() || generation.streams()) return false;
    // Half of the best ever seen: only what is certain is turned away.
    const double least_seconds = 0.5 * rows * cost_.best_seconds_per_row();
    return base::to_seconds(generation.deadline() - now) < least_seconds;
}

Verdict Admission::consider(Generation& generation, Generations running, bool pages_shared,
                            base::Instant now) const {
    if (still_coming(generation.awaited(), running)) return Verdict::prefix_is_coming;
    const std::uint32_t page_tokens = pool_.geometry().page_tokens;
    const bool swapped = generation.kv().swapped_out();
    const PrefixFound found = swapped ? PrefixFound{generation.computed()}
                                      : cache_.look(generation.scope(), generation.tokens());
    const std::uint32_t matched = found.tokens;
    const auto rows = static_cast<std::uint32_t>(generation.tokens().size()) - matched;
    if (too_late(generation, rows, now)) return Verdict::too_late;
    generation.await(swapped ? Awaited{}
                             : coming_prefix(generation, matched, running, page_tokens));
    if (generation.awaited().tokens > 0) return Verdict::prefix_is_coming;
    // Nobody else will ever give pages back.
    if (running.empty() && !pages_shared) return Verdict::ready;
    const std::uint32_t held =
        swapped ? generation.pages_kept_while_swapped() : matched / page_tokens;
    const std::uint32_t expected = pages_expected(generation);
    const std::uint32_t wanted =
        expected - std::min(expected, held) + found.pages_idle + pages_promised(running);
    return wanted <= pool_.pages_available() ? Verdict::ready : Verdict::no_pages;
}

}  // namespace engine
