#include "memory/compress/similar.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/core/utf8.h"

namespace memory::compress {
namespace {

bool is_wide(char32_t code) {
    return (code >= 0x3040 && code <= 0x30FF) || (code >= 0x3400 && code <= 0x9FFF) ||
           (code >= 0xAC00 && code <= 0xD7A3);
}
bool is_word(char32_t code) {
    return (code >= '0' && code <= '9') || ((code | 0x20) >= 'a' && (code | 0x20) <= 'z') ||
           (code >= 0xC0 && code < 0x2000);
}

struct Sentence {
    std::size_t entry = 0;
    std::uint64_t begin = 0, end = 0;
    std::set<std::string> words;
};

std::vector<Sentence> sentences_of(std::string_view text, std::size_t entry) {
    std::vector<Sentence> out;
    std::size_t begin = 0;
    const auto finish = [&](std::size_t end) {
        while (begin < end && (text[begin] == ' ' || text[begin] == '\n')) ++begin;
        Sentence one{entry, begin, end, word_set(text.substr(begin, end - begin))};
        if (!one.words.empty()) out.push_back(std::move(one));
        begin = end;
    };
    for (std::size_t i = 0; i < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, i);
        const std::size_t next = i + c.bytes;
        const bool before_space = next == text.size() || text[next] == ' ' || text[next] == '\n';
        const bool stop = (c.code == '.' || c.code == '!' || c.code == '?') && before_space;
        const bool wide_stop = c.code == 0x3002 || c.code == 0xFF01 || c.code == 0xFF1F;
        if (c.code == '\n') {
            finish(i);
        } else if (stop || wide_stop) {
            finish(next);
        }
        i = next;
    }
    finish(text.size());
    return out;
}

}  // namespace

std::set<std::string> word_set(std::string_view text) {
    std::set<std::string> out;
    std::string word;
    char32_t before = 0;
    for (std::size_t i = 0; i < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, i);
        i += c.bytes;
        if (c.valid && is_word(c.code)) {
            base::append_utf8(word, c.code >= 'A' && c.code <= 'Z' ? c.code | 0x20 : c.code);
        } else if (!word.empty()) {
            out.insert(std::exchange(word, {}));
        }
        const bool wide = c.valid && is_wide(c.code);
        if (wide && before != 0) {
            std::string pair;
            base::append_utf8(pair, before);
            base::append_utf8(pair, c.code);
            out.insert(std::move(pair));
        }
        before = wide ? c.code : 0;
    }
    if (!word.empty()) out.insert(std::move(word));
    return out;
}

float overlap(const std::set<std::string>& a, const std::set<std::string>& b) {
    std::size_t shared = 0;
    for (const std::string& word : a) shared += b.contains(word);
    const std::size_t all = a.size() + b.size() - shared;
    return a.empty() || b.empty() ? 0.f : static_cast<float>(shared) / static_cast<float>(all);
}

float cosine(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size() || a.empty()) return 0;
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    return aa == 0 || bb == 0 ? 0.f : static_cast<float>(dot / std::sqrt(aa * bb));
}

Summary summarise(std::span<const Entry* const> entries, std::uint32_t sentences_max) {
    std::vector<Sentence> all;
    std::map<std::string, double> weights;  // by how many entries use the word; spent when said
    for (std::size_t i = 0; i < entries.size(); ++i) {
        for (const std::string& word : word_set(entries[i]->content)) weights[word] += 1;
        for (Sentence& one : sentences_of(entries[i]->content, i)) all.push_back(std::move(one));
    }
    std::vector<const Sentence*> chosen;
    while (chosen.size() < sentences_max) {
        const Sentence* best = nullptr;
        double best_gain = 0;
        for (const Sentence& one : all) {
            double gain = 0;
            for (const std::string& word : one.words) gain += weights[word];
            if (gain > best_gain) {
                best = &one;
                best_gain = gain;
            }
        }
        if (best == nullptr) break;
        for (const std::string& word : best->words) weights[word] = 0;
        chosen.push_back(best);
    }
    std::ranges::sort(chosen);  // sentences lie in the order of the entries
    Summary out;
    for (const Sentence* one : chosen) {
        const Entry& entry = *entries[one->entry];
        if (!out.text.empty()) out.text += ' ';
        out.text += entry.content.substr(one->begin, one->end - one->begin);
        out.sentences.push_back({.source = entry.id, .begin = one->begin, .end = one->end});
    }
    return out;
}

}  // namespace memory::compress
