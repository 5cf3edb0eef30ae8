#pragma once
// A question to the store, and what it finds with every part of every score.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memory/entry.h"
#include "memory/filter.h"

namespace memory {

/// How much each signal weighs; fitted per embedder on development data (recall/weights.h).
struct SignalWeights {
    float keyword = 1.f, vector = 1.f, entity = .45f, time = .3f, session = .15f, graph = 0.f;
    float substance = .6f;  ///< statements over questions, long over short
    /// Bounds of the factors of recency, importance and access: a score is multiplied by something
    /// within [1 - bound, 1 + bound].
    float recency_bound = 0.f, importance_bound = .1f, access_bound = 0.f;
};

struct Query {
    std::string text = {};
    Filter filter = {};
    std::uint32_t limit = 10;      ///< hits; 1..1000
    std::uint32_t tokens_max = 0;  ///< of all content returned, by the store's count; 0: no budget
    /// Entries of the same session before and after each hit returned with it.
    std::uint32_t neighbours = 0;
    /// So many of the best hits are read beside the question by the store's reranker, and ordered
    /// by what it says; 0: none.
    std::uint32_t rerank = 0;
    bool explain = false;
    bool touch = true;  ///< counts as an access of what it returns
    std::optional<SignalWeights> weights = {};
    /// Of the text, when the caller has it; else computed. Empty with `vector` 0: keywords alone.
    std::vector<float> embedding = {};
    float vector_recall = .99f;  ///< share of the true nearest that must be found
    /// What "yesterday" means; 0: now.
    UnixMs as_of_unix_ms = 0;
};

/// The parts of one score, before weights, each in [0, 1]; `total` is what hits are ordered by.
struct ScoreParts {
    float keyword = 0, vector = 0, entity = 0, time = 0, session = 0, graph = 0, substance = 0;
    float recency = 1, importance = 1, access = 1;  ///< factors
    float total = 0;
    float rerank = 0;                     ///< what the reranker said; 0 where it was not asked
    std::vector<std::string> terms = {};  ///< of the query that the entry has
};

struct Hit {
    Entry entry;
    float score = 0;
    ScoreParts parts = {};  ///< with explain
    /// Neighbours in order of time, without those that are hits themselves.
    std::vector<Entry> before = {}, after = {};
    std::vector<MemoryId> duplicates = {};  ///< collapsed into this hit
};

struct Answer {
    std::vector<Hit> hits;
    /// 0..1: how much the best hit looks like an answer at all; low: better say nothing.
    float confidence = 0;
    std::uint64_t candidates = 0;    ///< entries the filter let through
    std::string plan = {};           ///< with explain: which scans ran, and why
    bool embedding_missing = false;  ///< the embedder failed: keywords answered alone
    bool rerank_missing = false;     ///< asked for, and the reranker failed or there is none
    bool sessions_missing = false;   ///< Redis is away: no short-term entry was asked
};

}  // namespace memory
