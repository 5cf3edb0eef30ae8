#include "engine/tokenizer/byte_trie.h"

#include <utility>

namespace engine {

ByteTrie::ByteTrie() : edges_(64), ids_(1, -1) {}

std::uint32_t ByteTrie::child(std::uint32_t node, char byte) const {
    const std::uint64_t key = (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
    for (std::size_t at = hash(key);; ++at) {
        const Edge& edge = edges_[at & (edges_.size() - 1)];
        if (edge.key == key) return edge.child;
        if (edge.key == UINT64_MAX) return 0;
    }
}

std::uint32_t ByteTrie::add_child(std::uint32_t node, char byte) {
    if (const std::uint32_t known = child(node, byte)) return known;
    if (ids_.size() * 2 >= edges_.size()) grow();
    const std::uint64_t key = (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
    std::size_t at = hash(key);
    while (edges_[at & (edges_.size() - 1)].key != UINT64_MAX) ++at;
    const auto fresh = static_cast<std::uint32_t>(ids_.size());
    edges_[at & (edges_.size() - 1)] = Edge{key, fresh};
    ids_.push_back(-1);
    return fresh;
}

void ByteTrie::grow() {
    std::vector<Edge> larger(edges_.size() * 2);
    for (const Edge& edge : edges_) {
        if (edge.key == UINT64_MAX) continue;
        std::size_t at = hash(edge.key);
        while (larger[at & (larger.size() - 1)].key != UINT64_MAX) ++at;
        larger[at & (larger.size() - 1)] = edge;
    }
    edges_ = std::move(larger);
}

void ByteTrie::insert(std::string_view text, std::int32_t id) {
    if (text.empty()) return;
    std::uint32_t node = 0;
    for (const char byte : text) node = add_child(node, byte);
    if (ids_[node] < 0) {
        ids_[node] = id;
        ++count_;
    }
    starts_[static_cast<unsigned char>(text.front())] = true;
}

ByteTrie::Match ByteTrie::longest_prefix(std::string_view text) const {
    Match longest;
    for_each_prefix(text, [&](std::int32_t id, std::size_t bytes) { longest = {id, bytes}; });
    return longest;
}

}  // namespace engine
