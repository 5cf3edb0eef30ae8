#include "memory/embed/hashed_ngrams.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "memory/text/analyzer.h"

namespace memory::embed {
namespace {

/// Letters of a part; a word is edged with spaces first.
constexpr std::size_t kPartBytes = 4;
/// All parts of a word together, against the word itself.
constexpr float kPartsWeight = .7f;

/// FNV-1a, then mixed: the low bits choose the place, the highest the sign.
std::uint64_t hash(std::string_view text) {
    std::uint64_t h = 0xCBF29CE484222325u;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ (h >> 32);
}

void add(std::span<float> out, std::string_view text, float weight) {
    const std::uint64_t h = hash(text);
    out[h % out.size()] += (h >> 63) != 0 ? weight : -weight;
}

void add_word(std::span<float> out, const std::string& word) {
    add(out, word, 1.f);
    const std::string edged = " " + word + " ";
    if (edged.size() <= kPartBytes) return;
    const std::size_t parts = edged.size() - kPartBytes + 1;
    const float weight = kPartsWeight / std::sqrt(static_cast<float>(parts));
    for (std::size_t at = 0; at < parts; ++at) {
        add(out, std::string_view(edged).substr(at, kPartBytes), weight);
    }
}

class HashedNgrams final : public Embedder {
public:
    const std::string& id() const override { return id_; }
    std::uint32_t dims() const override { return kHashedDims; }

    base::Result<void> embed(std::span<const std::string_view> texts, EmbedSide,
                             std::span<float> out) override {
        DG_TRY(check_room(*this, texts.size(), out.size()));
        std::ranges::fill(out, 0.f);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const std::span<float> row = out.subspan(i * kHashedDims, kHashedDims);
            for (const text::Term& term : text::analyze(texts[i])) {
                if (!term.stop_word) add_word(row, term.text);
            }
            double squares = 0;
            for (const float x : row) squares += static_cast<double>(x) * static_cast<double>(x);
            if (squares == 0) continue;
            const auto scale = static_cast<float>(1. / std::sqrt(squares));
            for (float& x : row) x *= scale;
        }
        return {};
    }

private:
    std::string id_ = "hashed-ngrams-1";
};

}  // namespace

std::unique_ptr<Embedder> make_hashed_ngrams() {
    return std::make_unique<HashedNgrams>();
}

}  // namespace memory::embed
