#pragma once
// A byte trie for "which tokens start here": special-token splitting and unigram lattices.

#include <cstdint>
#include <string_view>
#include <vector>

namespace engine {

class ByteTrie {
public:
    ByteTrie();

    /// Keeps the first id of a text. Empty texts are ignored.
    void insert(std::string_view text, std::int32_t id);
    bool empty() const { return count_ == 0; }
    bool may_start(char byte) const { return starts_[static_cast<unsigned char>(byte)]; }

    struct Match {
        std::int32_t id = -1;
        std::size_t bytes = 0;
    };
    /// The longest entry that `text` starts with; bytes == 0 when there is none.
    Match longest_prefix(std::string_view text) const;

    /// Calls visit(id, bytes) for every entry that `text` starts with, shortest first.
    template <class Visit>
    void for_each_prefix(std::string_view text, Visit visit) const {
        std::uint32_t node = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            node = child(node, text[i]);
            if (node == 0) return;
            if (ids_[node] >= 0) visit(ids_[node], i + 1);
        }
    }

private:
    struct Edge {
        std::uint64_t key = UINT64_MAX;  ///< parent node << 8 | byte
        std::uint32_t child = 0;
    };
    static std::size_t hash(std::uint64_t key) {
        return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 20);
    }
    std::uint32_t child(std::uint32_t node, char byte) const;
    std::uint32_t add_child(std::uint32_t node, char byte);
    void grow();

    std::vector<Edge> edges_;
    std::vector<std::int32_t> ids_;  ///< per node; -1: no entry ends here. Node 0 is the root.
    std::size_t count_ = 0;
    bool starts_[256] = {};
};

}  // namespace engine
