#pragma once
// A ModelBackend that follows directives in the prompt, for tests of the gateway. It answers with
// what it was asked, four bytes a token, from one thread that steps all requests in turn.
//
//   "fail"  ends with an error     "full"  start() is refused: queue full
//   "hold"  says nothing until cancelled    "toolong"  start() is refused: over the context;
//   with a context shift 3000 tokens of it are dropped instead
//   "late"  one token, then fails  "forever"  tokens until cancelled or max_tokens
//   "call NAME ARGUMENTS"  calls that tool; "calls ..." twice; "think TEXT"  reasons, then says
//   TEXT
//
// With a format other than text the answer is the prompt alone.

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gate/model_backend.h"

namespace test {

class ScriptedBackend final : public gate::ModelBackend {
public:
    static constexpr std::uint32_t kContext = 2048;
    static constexpr std::uint32_t kDim = 8;

    explicit ScriptedBackend(const base::Clock& clock,
                             std::chrono::microseconds token_pause = std::chrono::microseconds(0))
        : clock_(clock), token_pause_(token_pause), thread_([this] { run(); }) {}

    ~ScriptedBackend() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

    std::vector<gate::ModelCard> models() const override {
        gate::ModelCard chat;
        chat.id = "fake/chat";
        chat.created_unix_s = 1'700'000'000;
        chat.context_tokens = kContext;
        chat.embedding_dim = kDim;
        chat.details = {{"architecture", "scripted"}};
        gate::ModelCard embed = chat;
        embed.id = "fake-embed";
        embed.generates = false;
        const std::lock_guard lock(mutex_);
        chat.state = states_[0];
        embed.state = states_[1];
        return {chat, embed};
    }

    /// The share of the query's characters that a document has.
    base::Result<Ranking> rank(std::string_view, std::string_view query,
                               std::span<const std::string> documents) override {
        Ranking ranking;
        for (const std::string& document : documents) {
            if (document == "toolong") {
                return base::fail_on("context_tokens", base::Code::invalid_argument,
                                     "document 1 has 5000 tokens, the context holds 2048");
            }
            const auto found = std::ranges::count_if(
                query, [&](char c) { return document.find(c) != std::string::npos; });
            ranking.scores.push_back(static_cast<float>(found) /
                                     static_cast<float>(std::max<std::size_t>(1, query.size())));
            ranking.prompt_tokens += token_count(query) + token_count(document);
        }
        return ranking;
    }
    base::Result<void> load(std::string_view model) override {
        if (memory_full_) {
            return base::fail(base::Code::resource_exhausted, "needs 2 GB, 1 GB is free");
        }
        return set_state(model, gate::ModelState::ready);
    }
    base::Result<void> unload(std::string_view model) override {
        return set_state(model, gate::ModelState::unloaded);
    }
    void set_memory_full(bool full) { memory_full_ = full; }
    base::Result<KeptPrefix> keep_prefix(std::string_view model, std::string_view tenant,
                                         gate::Prompt prompt, base::Duration ttl) override {
        const std::lock_guard lock(mutex_);
        KeptPrefix kept{"cache-" + std::to_string(kept_.size()), std::string(model),
                        token_count(prompt_text(prompt)),
                        clock_.unix_ns() / 1'000'000'000 + ttl / std::chrono::seconds(1)};
        kept_.emplace_back(tenant, kept);
        return kept;
    }
    base::Result<void> drop_prefix(std::string_view tenant, std::string_view id) override {
        const std::lock_guard lock(mutex_);
        if (std::erase_if(kept_, [&](const auto& entry) {
                return entry.first == tenant && entry.second.id == id;
            }) > 0) {
            return {};
        }
        return base::fail_on("id", base::Code::not_found, "no prefix is kept as '{}'", id);
    }
    std::vector<KeptPrefix> kept_prefixes(std::string_view tenant) const override {
        const std::lock_guard lock(mutex_);
        std::vector<KeptPrefix> list;
        for (const auto& [owner, kept] : kept_) {
            if (owner == tenant) list.push_back(kept);
        }
        return list;
    }

    bool ready() const override { return ready_; }
    void set_ready(bool ready) { ready_ = ready; }

    base::Result<gate::GenerationHandle> start(
        gate::GenerationRequest request,
        std::shared_ptr<gate::GenerationListener> listener) override {
        Job job;
        job.received = clock_.now();
        const std::string asked = prompt_text(request.prompt);
        if (asked == "full") {
            return base::fail(base::Code::resource_exhausted,
                              "256 requests wait; the limit is 256");
        }
        const bool shifts = request.context_overflow == gate::ContextOverflow::shift;
        if (asked == "toolong" && !shifts) {
            return base::fail_on("context_tokens", base::Code::invalid_argument,
                                 "the prompt has 5000 tokens, the context holds 2048");
        }
        const bool plain = request.format.kind == gate::AnswerFormat::Kind::text;
        job.text = request.prompt.messages && plain ? "You said: " + asked : asked;
        write_script(asked, request, job);
        job.forever = request.ignore_eos || asked == "forever";
        job.hold = asked == "hold";
        job.fail_after = asked == "fail" ? 0 : asked == "late" ? 1 : UINT32_MAX;
        job.prompt_tokens = token_count(asked);
        job.dropped_tokens = asked == "toolong" ? 3000 : 0;
        job.request = std::move(request);
        job.listener = std::move(listener);
        job.templated = clock_.now();
        const std::lock_guard lock(mutex_);
        const gate::GenerationHandle handle = ++last_handle_;
        prompt_tokens_ += job.prompt_tokens;
        ++requests_;
        last_request_ = job.request;
        jobs_.emplace(handle, std::move(job));
        wake_.notify_all();
        return handle;
    }

    void cancel(gate::GenerationHandle handle) override {
        const std::lock_guard lock(mutex_);
        const auto job = jobs_.find(handle);
        if (job != jobs_.end()) job->second.cancelled = true;
        ++cancels_;
        wake_.notify_all();
        changed_.notify_all();
    }

    base::Result<Embeddings> embed(std::string_view, std::span<const std::string> texts) override {
        Embeddings out;
        for (const std::string& text : texts) {
            std::vector<float> vector(kDim, 0.f);
            vector[0] = 0.6f;
            vector[text.size() % (kDim - 1) + 1] = 0.8f;
            out.vectors.push_back(std::move(vector));
            out.prompt_tokens += token_count(text);
        }
        return out;
    }

    base::Result<std::vector<std::int32_t>> tokenize(std::string_view, std::string_view text,
                                                     bool add_special) const override {
        std::vector<std::int32_t> ids;
        if (add_special) ids.push_back(1);
        for (const char c : text) ids.push_back(static_cast<unsigned char>(c) + 100);
        return ids;
    }

    base::Result<std::string> detokenize(std::string_view,
                                         std::span<const std::int32_t> tokens) const override {
        std::string text;
        for (const std::int32_t id : tokens) {
            if (id >= 100 && id < 356) text += static_cast<char>(id - 100);
        }
        return text;
    }

    gate::BackendStats stats() const override {
        const std::lock_guard lock(mutex_);
        gate::BackendStats stats;
        stats.running = static_cast<std::uint32_t>(jobs_.size());
        stats.kv_pages_total = 64;
        stats.prompt_tokens_total = prompt_tokens_;
        stats.completion_tokens_total = completion_tokens_;
        stats.requests_total = requests_;
        return stats;
    }

    std::vector<ModelStats> stats_by_model() const override { return {{"fake/chat", stats()}}; }

    /// Blocks until nothing runs.
    void wait_idle() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return jobs_.empty(); });
    }
    std::uint32_t cancels() const {
        const std::lock_guard lock(mutex_);
        return cancels_;
    }
    gate::GenerationRequest last_request() const {
        const std::lock_guard lock(mutex_);
        return last_request_;
    }

private:
    struct Job {
        gate::GenerationRequest request;
        std::shared_ptr<gate::GenerationListener> listener;
        std::string text;
        std::vector<gate::TokenDelta> script;  ///< said before `text`
        gate::Finish finish = gate::Finish::stop;
        std::size_t at = 0, script_at = 0;
        std::uint32_t generated = 0, prompt_tokens = 0, dropped_tokens = 0, fail_after = UINT32_MAX;
        bool forever = false, hold = false, cancelled = false;
        base::Instant received, templated, started, first_token;
    };

    base::Result<void> set_state(std::string_view model, gate::ModelState state) {
        const std::lock_guard lock(mutex_);
        if (model != "fake/chat" && model != "fake-embed") {
            return base::fail_on("model", base::Code::not_found, "no model '{}' here", model);
        }
        states_[model == "fake/chat" ? 0 : 1] = state;
        return {};
    }

    static std::uint32_t token_count(std::string_view text) {
        return static_cast<std::uint32_t>((text.size() + 3) / 4);
    }

    static std::string prompt_text(const gate::Prompt& prompt) {
        if (prompt.text) return *prompt.text;
        if (prompt.tokens) return std::string(prompt.tokens->size(), 'x');
        const auto& last = prompt.messages->back().as_object().at("content");
        return std::string(last.as_string());
    }

    static void script_call(Job& job, std::uint32_t index, const std::string& name,
                            std::string_view arguments) {
        gate::TokenDelta begin;
        begin.tool_calls.push_back({index, "call_" + std::to_string(index), name, {}});
        job.script.push_back(begin);
        for (; !arguments.empty();
             arguments.remove_prefix(std::min<std::size_t>(4, arguments.size()))) {
            gate::TokenDelta piece;
            piece.tool_calls.push_back({index, {}, {}, std::string(arguments.substr(0, 4))});
            job.script.push_back(piece);
        }
        job.finish = gate::Finish::tool_calls;
    }

    static void write_script(std::string_view asked, const gate::GenerationRequest& request,
                             Job& job) {
        const bool forced = request.tool_choice.kind == gate::ToolChoice::Kind::required ||
                            request.tool_choice.kind == gate::ToolChoice::Kind::named;
        const auto word = asked.substr(0, asked.find(' '));
        if (word == "think") {
            job.text = asked.substr(std::min<std::size_t>(6, asked.size()));
            for (const char* const piece : {"Let ", "me ", "think."}) {
                gate::TokenDelta delta;
                (request.split_reasoning ? delta.reasoning : delta.text) = piece;
                job.script.push_back(delta);
            }
        } else if (request.tools.is_array() && (word == "call" || word == "calls")) {
            const std::string_view rest = asked.substr(word.size() + 1);
            const std::string name(rest.substr(0, rest.find(' ')));
            const std::string_view arguments = rest.substr(std::min(rest.size(), name.size() + 1));
            job.text.clear();
            script_call(job, 0, name, arguments);
            if (word == "calls" && request.tool_choice.parallel) {
                script_call(job, 1, name, arguments);
            }
        } else if (forced) {
            const auto& first = request.tools.at(0).at("function").at("name").as_string();
            const std::string& named = request.tool_choice.name;
            job.text.clear();
            script_call(job, 0, named.empty() ? std::string(first) : named, "{}");
        }
    }

    void run() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            if (std::ranges::all_of(jobs_, [](const auto& j) { return waits(j.second); })) {
                wake_.wait(lock);
                continue;
            }
            std::vector<gate::GenerationHandle> handles;
            for (const auto& [handle, unused] : jobs_) handles.push_back(handle);
            lock.unlock();
            if (token_pause_.count() > 0) std::this_thread::sleep_for(token_pause_);
            for (const auto handle : handles) step(handle);
            lock.lock();
        }
        for (auto& [unused, job] : jobs_) end(job, gate::Finish::cancelled);
        jobs_.clear();
    }

    static bool waits(const Job& job) { return job.hold && !job.cancelled; }

    /// Only this thread changes a job but for `cancelled`, so the reference outlives the unlock.
    void step(gate::GenerationHandle handle) {
        Job* job = nullptr;
        bool cancelled = false;
        {
            const std::lock_guard lock(mutex_);
            job = &jobs_.at(handle);
            cancelled = job->cancelled;
        }
        if (!cancelled && waits(*job)) return;
        if (job->started.ns == 0) job->started = clock_.now();
        if (cancelled) return finish(handle, *job, gate::Finish::cancelled);
        if (job->generated >= job->fail_after) return finish(handle, *job, gate::Finish::error);
        if (job->script_at == job->script.size() && job->at >= job->text.size() && !job->forever) {
            return finish(handle, *job, job->finish);
        }
        emit(*job);
        if (stop_hit_) return finish(handle, *job, gate::Finish::stop);
        const std::uint32_t limit = job->request.max_tokens;
        if (limit != 0 && job->generated >= limit) finish(handle, *job, gate::Finish::length);
    }

    void emit(Job& job) {
        stop_hit_ = false;
        if (job.script_at < job.script.size()) return tell(job, job.script[job.script_at++]);
        if (job.at >= job.text.size()) job.at = 0;
        std::size_t length = std::min<std::size_t>(4, job.text.size() - job.at);
        const auto inside = [&](std::size_t i) {
            return i < job.text.size() && (static_cast<unsigned char>(job.text[i]) & 0xc0) == 0x80;
        };
        while (inside(job.at + length)) ++length;
        gate::TokenDelta delta;
        delta.text = job.text.substr(job.at, length);
        job.at += length;
        for (const std::string& stop : job.request.stop) {
            const std::size_t found = delta.text.find(stop);
            if (found == std::string::npos) continue;
            delta.text.resize(found);
            stop_hit_ = true;
        }
        if (job.request.top_logprobs) {
            gate::TokenLogprobs token{{7, delta.text, -0.25f}, {}};
            for (std::uint32_t k = 0; k < *job.request.top_logprobs; ++k) {
                token.top.push_back({static_cast<std::int32_t>(k), "\xff" + std::to_string(k),
                                     -0.5f - static_cast<float>(k)});
            }
            delta.logprobs.push_back(std::move(token));
        }
        tell(job, delta);
    }

    void tell(Job& job, const gate::TokenDelta& delta) {
        ++job.generated;
        if (job.first_token.ns == 0) job.first_token = clock_.now();
        {
            const std::lock_guard lock(mutex_);
            ++completion_tokens_;
        }
        job.listener->on_delta(delta);
    }

    void end(Job& job, gate::Finish finish) {
        gate::GenerationEnd end;
        end.finish = finish;
        if (finish == gate::Finish::error) {
            end.error = base::Error{base::Code::internal, "the script says fail", {}};
        }
        end.prompt_tokens = job.prompt_tokens;
        end.cached_tokens = job.prompt_tokens / 2;
        end.completion_tokens = job.generated;
        end.context_dropped_tokens = job.dropped_tokens;
        end.received = job.received;
        end.templated = job.templated;
        end.started = job.started;
        end.first_token = job.first_token;
        end.finished = clock_.now();
        job.listener->on_end(end);
    }

    void finish(gate::GenerationHandle handle, Job& job, gate::Finish how) {
        end(job, how);
        const std::lock_guard lock(mutex_);
        jobs_.erase(handle);
        changed_.notify_all();
    }

    const base::Clock& clock_;
    const std::chrono::microseconds token_pause_;
    std::atomic<bool> ready_{true}, memory_full_{false};
    mutable std::mutex mutex_;  // guards what follows; listeners are called without it
    std::condition_variable wake_, changed_;
    std::map<gate::GenerationHandle, Job> jobs_;
    gate::GenerationHandle last_handle_ = 0;
    std::uint64_t prompt_tokens_ = 0, completion_tokens_ = 0, requests_ = 0;
    std::uint32_t cancels_ = 0;
    std::array<gate::ModelState, 2> states_{gate::ModelState::ready, gate::ModelState::ready};
    gate::GenerationRequest last_request_;
    std::vector<std::pair<std::string, KeptPrefix>> kept_;
    bool stopping_ = false;
    bool stop_hit_ = false;  // worker thread only
    std::thread thread_;
};

}  // namespace test
