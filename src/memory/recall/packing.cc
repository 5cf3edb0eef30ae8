#include "memory/recall/packing.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "memory/text/analyzer.h"

namespace memory::recall {
namespace {

/// Words in order, whatever stands between them; texts without words are compared as they are.
std::string fingerprint(const Entry& entry) {
    std::string out = entry.speaker + "\n";
    const std::vector<text::Term> terms = text::analyze(entry.content);
    if (terms.empty()) return out + entry.content;
    for (const text::Term& term : terms) out += term.text + " ";
    return out;
}

std::uint64_t tokens_of(const Entry& entry) {
    return std::uint64_t{text::count_tokens(entry.content)} + text::count_tokens(entry.speaker);
}

}  // namespace

void collapse_duplicates(std::vector<Hit>& hits, std::span<const std::uint64_t> words) {
    std::unordered_map<std::string, std::size_t> first;
    std::vector<Hit> kept;
    kept.reserve(hits.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
        Hit& hit = hits[i];
        if (!words.empty() && std::ranges::count(words, words[i]) == 1) {
            kept.push_back(std::move(hit));
            continue;
        }
        const auto [at, is_new] = first.try_emplace(fingerprint(hit.entry), kept.size());
        if (is_new) {
            kept.push_back(std::move(hit));
        } else {
            kept[at->second].duplicates.push_back(hit.entry.id);
        }
    }
    hits = std::move(kept);
}

void pack(std::vector<Hit>& hits, std::uint32_t tokens_max) {
    if (tokens_max == 0) return;
    std::uint64_t left = tokens_max;
    const auto fits = [&](const Entry& entry) {
        const std::uint64_t tokens = tokens_of(entry);
        if (tokens > left) return false;
        left -= tokens;
        return true;
    };
    std::erase_if(hits, [&](const Hit& hit) { return !fits(hit.entry); });
    for (Hit& hit : hits) {
        // The nearest first: a gap in what surrounds a hit would mislead.
        std::size_t near = 0;
        while (near < hit.before.size() && fits(hit.before[hit.before.size() - 1 - near])) ++near;
        hit.before.erase(hit.before.begin(), hit.before.end() - static_cast<std::ptrdiff_t>(near));
        near = 0;
        while (near < hit.after.size() && fits(hit.after[near])) ++near;
        hit.after.resize(near);
    }
}

}  // namespace memory::recall
