#include "memory/graph/rows.h"

#include <algorithm>

namespace memory::graph {
namespace {

/// A head of this many arcs, or of this share of the base, is merged: writes stay amortised O(1)
/// copies while few rows are scattered.
constexpr std::uint64_t kHeadArcsMin = 16'384;
constexpr std::uint64_t kBaseOverHead = 4;

std::size_t place_of(std::span<const Link> links, std::span<const ArcKey> keys, Node to,
                     ArcKey key) {
    const auto first = std::ranges::lower_bound(links, to, {}, &Link::to);
    auto at = static_cast<std::size_t>(first - links.begin());
    while (at < links.size() && links[at].to == to && keys[at] < key) ++at;
    return at;
}

}  // namespace

Row Rows::row(Node node) const {
    const std::uint32_t copy = heads_of_[node];
    if (copy != 0) return {heads_[copy - 1].links, heads_[copy - 1].keys};
    const std::size_t begin = offsets_[node], size = offsets_[node + 1] - begin;
    return {{links_.data() + begin, size}, {keys_.data() + begin, size}};
}

Rows::Head& Rows::head_of(Node node) {
    if (node >= nodes()) {
        strengths_.resize(node + 1);
        heads_of_.resize(node + 1);
        offsets_.resize(node + 2, offsets_.back());
    }
    if (heads_of_[node] == 0) {
        const Row base = row(node);
        heads_.push_back(
            {node, {base.links.begin(), base.links.end()}, {base.keys.begin(), base.keys.end()}});
        heads_of_[node] = static_cast<std::uint32_t>(heads_.size());
        head_arcs_ += base.links.size();
    }
    return heads_[heads_of_[node] - 1];
}

void Rows::changed(const Head& head) {
    double sum = 0;  // afresh: adding and taking away would drift
    for (const Link& link : head.links) sum += static_cast<double>(link.weight);
    strengths_[head.node] = static_cast<float>(sum);
    if (head_arcs_ >= std::max(kHeadArcsMin, links_.size() / kBaseOverHead)) merge();
}

bool Rows::put(Node at, Link link, ArcKey key) {
    Head& head = head_of(at);
    const std::size_t place = place_of(head.links, head.keys, link.to, key);
    const bool known =
        place < head.links.size() && head.links[place].to == link.to && head.keys[place] == key;
    if (known) {
        head.links[place].weight = std::max(head.links[place].weight, link.weight);
    } else {
        head.links.insert(head.links.begin() + static_cast<std::ptrdiff_t>(place), link);
        head.keys.insert(head.keys.begin() + static_cast<std::ptrdiff_t>(place), key);
        ++head_arcs_;
    }
    changed(head);
    return !known;
}

bool Rows::erase(Node at, Node to, ArcKey key) {
    if (at >= nodes()) return false;
    const Row now = row(at);
    const std::size_t place = place_of(now.links, now.keys, to, key);
    if (place == now.links.size() || now.links[place].to != to || now.keys[place] != key) {
        return false;
    }
    Head& head = head_of(at);
    head.links.erase(head.links.begin() + static_cast<std::ptrdiff_t>(place));
    head.keys.erase(head.keys.begin() + static_cast<std::ptrdiff_t>(place));
    --head_arcs_;
    changed(head);
    return true;
}

void Rows::merge() {
    std::size_t total = 0;
    for (Node node = 0; node < nodes(); ++node) total += links(node).size();
    std::vector<std::uint32_t> offsets = {0};
    std::vector<Link> all_links;
    std::vector<ArcKey> all_keys;
    offsets.reserve(nodes() + 1);
    all_links.reserve(total);
    all_keys.reserve(total);
    for (Node node = 0; node < nodes(); ++node) {
        const Row now = row(node);
        all_links.insert(all_links.end(), now.links.begin(), now.links.end());
        all_keys.insert(all_keys.end(), now.keys.begin(), now.keys.end());
        offsets.push_back(static_cast<std::uint32_t>(all_links.size()));
    }
    offsets_ = std::move(offsets);
    links_ = std::move(all_links);
    keys_ = std::move(all_keys);
    std::ranges::fill(heads_of_, 0u);
    heads_.clear();
    head_arcs_ = 0;
}

std::uint64_t Rows::bytes() const {
    std::uint64_t sum =
        offsets_.capacity() * sizeof(offsets_[0]) + links_.capacity() * sizeof(Link) +
        keys_.capacity() * sizeof(ArcKey) + strengths_.capacity() * sizeof(float) +
        heads_of_.capacity() * sizeof(heads_of_[0]) + heads_.capacity() * sizeof(Head);
    for (const Head& head : heads_) {
        sum += head.links.capacity() * sizeof(Link) + head.keys.capacity() * sizeof(ArcKey);
    }
    return sum;
}

}  // namespace memory::graph
