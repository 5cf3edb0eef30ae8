#include "engine/batch/part_pace.h"

#include <numeric>

#include "base/core/check.h"

namespace engine {
namespace {

constexpr double kMemory = 0.25;       // a part's share forgets over about four passes
constexpr double kTrustedShare = 0.1;  // the forecast of a pass counts as so much of it, seen

}  // namespace

PartPace::PartPace(std::uint32_t parts) : shares_(parts, 1. / parts) {
    taken_.reserve(parts);
}

PartPace::PartPace(std::uint32_t parts, double last_share)
    : shares_(parts, (1. - last_share) / (parts - 1.)) {
    shares_.back() = last_share;
    taken_.reserve(parts);
}

void PartPace::begin(std::uint32_t parts, double seconds) {
    DG_CHECK(parts <= shares_.size(), "a pass has more parts than it was said to have");
    taken_.clear();
    expected_ = seconds;
    expected_share_ = std::accumulate(shares_.begin(), shares_.begin() + parts, 0.);
    share_ = skipped_share_ = seconds_ = 0.;
    parts_ = parts;
}

void PartPace::observe(double seconds) {
    DG_CHECK(taken_.size() < parts_, "a pass has more parts than it was said to have");
    share_ += shares_[taken_.size()];
    seconds_ += seconds;
    taken_.push_back(seconds);
}

void PartPace::skip() {
    DG_CHECK(taken_.size() < parts_, "a pass has more parts than it was said to have");
    skipped_share_ += shares_[taken_.size()];
    taken_.push_back(-1.);
}

void PartPace::end() {
    if (seconds_ <= 0.) return;
    for (std::size_t i = 0; i < taken_.size(); ++i) {
        if (taken_[i] < 0.) continue;
        shares_[i] += kMemory * (taken_[i] / seconds_ * share_ - shares_[i]);
    }
}

double PartPace::next() const {
    return pace() * shares_[taken_.size()];
}

double PartPace::left() const {
    return pace() * std::accumulate(shares_.begin() + static_cast<std::ptrdiff_t>(taken_.size()),
                                    shares_.begin() + parts_, 0.);
}

/// Seconds of all parts at this pass's speed.
double PartPace::pace() const {
    const double trusted = expected_ > 0. ? kTrustedShare : 0.;
    const double share = share_ + trusted * expected_share_;
    return share > 0. ? (seconds_ + trusted * expected_) / share : 0.;
}

}  // namespace engine
