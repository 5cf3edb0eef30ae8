#include "memory/compress/overflow_job.h"

#include <algorithm>
#include <utility>

#include "memory/text/analyzer.h"

namespace memory::compress {
namespace {

using base::Result;

constexpr std::size_t kSessionsMax = 100'000;  // then all are measured anew

std::string key_of(const Scope& scope) {
    std::string key;
    for (const std::string* part :
         {&scope.tenant, &scope.user, &scope.agent, &scope.session, &scope.run}) {
        key += *part;
        key += '\0';
    }
    return key;
}

}  // namespace

OverflowJob::OverflowJob(Compressor& compressor, const CompressWhen& when, bool by_model,
                         Measure measure)
    : compressor_(compressor),
      when_(when),
      by_model_(by_model),
      measure_(std::move(measure)),
      job_([this] { return one(); }) {}

bool OverflowJob::too_large(const SessionSize& size) const {
    const bool entries =
        when_.entries_per_session_max != 0 && size.entries > when_.entries_per_session_max;
    return entries ||
           (when_.tokens_per_session_max != 0 && size.tokens > when_.tokens_per_session_max);
}

bool OverflowJob::due(const Session& session) const {
    constexpr std::uint64_t kGrowth = 10;  // a tenth
    return !session.measured ||
           (too_large(session.size) &&
            session.size.entries > session.tried_entries + session.tried_entries / kGrowth);
}

void OverflowJob::notify(std::span<const truth::Change> changes) {
    bool any = false;
    {
        const std::lock_guard lock(mutex_);
        for (const truth::Change& change : changes) {
            const Entry& entry = change.entry;
            if (change.gone || entry.scope.session.empty()) continue;
            if (sessions_.size() >= kSessionsMax) sessions_.clear();
            const std::string key = key_of(entry.scope);
            Session& session = sessions_[key];
            if (session.scope.tenant.empty()) session.scope = entry.scope;
            session.row = change.row;
            ++session.size.entries;
            if (when_.tokens_per_session_max != 0) {
                session.size.tokens += text::count_tokens(entry.content);
            }
            if (due(session)) any = waiting_.insert(key).second || any;
        }
    }
    if (any) job_.notify();
}

Policy OverflowJob::policy_for(const SessionSize& size) const {
    const std::uint64_t half = when_.entries_per_session_max / 2;
    std::uint64_t keep = when_.entries_per_session_max != 0 ? half : size.entries;
    if (when_.tokens_per_session_max != 0 && size.tokens > when_.tokens_per_session_max) {
        keep = std::min(keep, size.entries * (when_.tokens_per_session_max / 2) / size.tokens);
    }
    return {.entries_per_session_max = static_cast<std::uint32_t>(std::max<std::uint64_t>(keep, 1)),
            .importance_min = 0,
            .retain_recent_hours = 0,
            .summary_sentences_max = when_.summary_sentences_max,
            .merge_over_limit = true};
}

Result<std::size_t> OverflowJob::one() {
    Session session;
    std::string key;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) return 0;
        key = std::move(waiting_.extract(waiting_.begin()).value());
        const auto known = sessions_.find(key);
        if (known == sessions_.end()) return 1;
        session = known->second;
    }
    const Result<SessionSize> size = fit(session);
    const std::lock_guard lock(mutex_);
    if (!size) {
        waiting_.insert(key);  // tried again
        return std::unexpected(size.error());
    }
    if (const auto found = sessions_.find(key); found != sessions_.end()) {
        Session& known = found->second;
        // What was written meanwhile may or may not have been measured: counted, to be safe.
        const auto since = [](std::uint64_t now, std::uint64_t then) {
            return now > then ? now - then : 0;
        };
        known.size = {size->entries + since(known.size.entries, session.size.entries),
                      size->tokens + since(known.size.tokens, session.size.tokens)};
        known.measured = true;
        known.tried_entries = too_large(*size) ? size->entries : 0;
        if (due(known)) waiting_.insert(key);
    }
    return 1;
}

Result<SessionSize> OverflowJob::fit(Session session) {
    session.size = DG_TRY(measure_(session.scope, session.row));
    session.measured = true;
    if (!due(session)) return session.size;
    const Compression done = DG_TRY(compressor_.apply({.scope = session.scope,
                                                       .policy = policy_for(session.size),
                                                       .by = "overflow",
                                                       .by_model = by_model_}));
    if (done.summaries > 0) {
        const std::lock_guard lock(mutex_);
        ++compressed_;
        by_model_count_ += done.summaries_by_model;
        picked_ += done.summaries - done.summaries_by_model;
        summary_error_ = done.summary_error;
    }
    return SessionSize{done.entries_after, done.tokens_after};
}

void OverflowJob::stats(StoreStats& out) const {
    const std::lock_guard lock(mutex_);
    out.sessions_compressed += compressed_;
    out.summaries_by_model += by_model_count_;
    out.summaries_picked += picked_;
    out.summary_error = summary_error_;
}

}  // namespace memory::compress
