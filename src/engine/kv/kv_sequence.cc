#include "engine/kv/kv_sequence.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/core/check.h"

namespace engine {
namespace {
constexpr std::size_t kTablePagesMin = 16;
}  // namespace

KvSequence::KvSequence(KvPool& pool) : pool_(&pool), views_(pool.geometry().layers) {
    refresh_views();
}

KvSequence::KvSequence(KvSequence&& other) noexcept {
    *this = std::move(other);
}

KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
    if (this == &other) return *this;
    drop_swapped();
    before_gap_ = std::exchange(other.before_gap_, UINT32_MAX);
    swapped_ = std::exchange(other.swapped_, {});
    pool_ = std::exchange(other.pool_, nullptr);
    tokens_ = std::exchange(other.tokens_, 0);
    pages_ = std::exchange(other.pages_, {});
    table_ = std::exchange(other.table_, {});
    table_pages_ = std::exchange(other.table_pages_, 0);
    views_ = std::exchange(other.views_, {});
    return *this;
}

KvSequence::~KvSequence() {
    drop_swapped();
}

void KvSequence::drop_swapped() {
    if (swapped_) swapped_->spill->drop(swapped_->id);
    swapped_.reset();
}

std::uint32_t KvSequence::capacity_tokens() const {
    return pool_ == nullptr || swapped_out()
               ? 0
               : static_cast<std::uint32_t>(pages_.size()) * pool_->geometry().page_tokens;
}

void KvSequence::set_written(std::uint32_t tokens) {
    DG_CHECK(tokens <= capacity_tokens(), "positions were written outside of the sequence's pages");
    tokens_ = tokens;
}

base::Result<void> KvSequence::grow_to(std::uint32_t tokens) {
    DG_CHECK(!swapped_out(), "a sequence grew while its pages were swapped out");
    if (tokens <= tokens_) return {};
    const KvGeometry& geometry = pool_->geometry();
    const std::size_t written = tokens_ / geometry.page_tokens;  // the page written first
    const bool copy = written < pages_.size() && pages_[written].shared();
    const std::uint32_t pages = geometry.pages_for(tokens);
    const auto have = static_cast<std::uint32_t>(pages_.size());
    if (!copy && pages <= have) return {};
    DG_TRY(pool_->make_room((pages > have ? pages - have : 0) + (copy ? 1 : 0)));
    if (copy) DG_TRY(make_private(written));
    const std::size_t before = pages_.size();
    base::Result<void> done;
    while (pages_.size() < pages && done) {
        base::Result<KvPage> page = pool_->take();
        if (page) {
            pages_.push_back(*std::move(page));
        } else {
            done = std::unexpected(std::move(page).error());
        }
    }
    link_pages(before);
    return done;
}

base::Result<void> KvSequence::make_private(std::size_t index) {
    KvPage copy = DG_TRY(pool_->take());
    std::memcpy(copy.bytes(), pages_[index].bytes(), pool_->geometry().page_bytes());
    ++pool_->copies_;
    pages_[index] = std::move(copy);
    link_pages(index);
    return {};
}

KvSequence KvSequence::fork() const {
    if (pool_ == nullptr) return {};
    DG_CHECK(!swapped_out(), "a sequence was forked while its pages were swapped out");
    KvSequence twin(*pool_);
    // Pages beyond tokens() hold nothing yet and stay this sequence's own.
    const std::uint32_t pages = pool_->geometry().pages_for(tokens_);
    twin.pages_.reserve(pages);
    for (std::uint32_t i = 0; i < pages; ++i) twin.pages_.push_back(pages_[i].share());
    twin.tokens_ = tokens_;
    twin.before_gap_ = before_gap_;
    twin.link_pages(0);
    return twin;
}

void KvSequence::truncate(std::uint32_t tokens) {
    if (pool_ == nullptr) return;
    DG_CHECK(!swapped_out(), "a sequence was cut while its pages were swapped out");
    const std::uint32_t pages = pool_->geometry().pages_for(tokens);
    if (pages < pages_.size()) pages_.erase(pages_.begin() + pages, pages_.end());
    tokens_ = std::min(tokens_, tokens);
    forget_gap_at_end();
    refresh_views();
}

/// Without a position behind it a gap means nothing.
void KvSequence::forget_gap_at_end() {
    if (tokens_ > before_gap_) return;
    before_gap_ = UINT32_MAX;
}

base::Result<void> KvSequence::drop_middle(std::uint32_t keep_tokens, std::uint32_t drop_tokens) {
    DG_CHECK(!swapped_out(), "a sequence was cut while its pages were swapped out");
    const std::uint32_t page_tokens = pool_ == nullptr ? 1 : pool_->geometry().page_tokens;
    if (keep_tokens % page_tokens != 0 || drop_tokens % page_tokens != 0) {
        return base::fail(base::Code::invalid_argument,
                          "{} tokens are to be dropped after the first {}; both must be multiples "
                          "of a KV page's {} tokens",
                          drop_tokens, keep_tokens, page_tokens);
    }
    if (std::uint64_t{keep_tokens} + drop_tokens > tokens_) {
        return base::fail(
            base::Code::invalid_argument,
            "{} tokens are to be dropped after the first {} of a sequence that has {}", drop_tokens,
            keep_tokens, tokens_);
    }
    if (drop_tokens == 0) return {};
    const auto first = pages_.begin() + keep_tokens / page_tokens;
    pages_.erase(first, first + drop_tokens / page_tokens);
    tokens_ -= drop_tokens;
    before_gap_ = std::min(before_gap_, keep_tokens);
    forget_gap_at_end();
    link_pages(keep_tokens / page_tokens);
    return {};
}

std::uint32_t KvSequence::exact_tokens() const {
    return swapped_out() ? 0 : std::min(tokens_, before_gap_);
}

std::uint32_t KvSequence::pages_owned_alone() const {
    return static_cast<std::uint32_t>(std::ranges::count_if(pages_, [](const KvPage& page) {
        return page && (!page.shared() || page.shared_with_cache_only());
    }));
}

std::vector<std::size_t> KvSequence::pages_to_swap() const {
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
        if (!pages_[i].shared() || pages_[i].shared_with_cache_only()) indices.push_back(i);
    }
    return indices;
}

base::Result<SpillId> KvSequence::swap_out(KvSpill& spill) {
    DG_CHECK(pool_ != nullptr && !swapped_out(), "nothing is here to be swapped out");
    truncate(tokens_);  // pages that were taken ahead hold nothing
    const std::vector<std::size_t> indices = pages_to_swap();
    const std::size_t page_bytes = pool_->geometry().page_bytes();
    std::vector<std::span<const std::byte>> parts;
    for (const std::size_t i : indices) parts.emplace_back(pages_[i].bytes(), page_bytes);
    const SpillId id = DG_TRY(spill.save(parts));
    for (const std::size_t i : indices) pages_[i] = KvPage();
    swapped_ = {&spill, id, static_cast<std::uint32_t>(indices.size())};
    return id;
}

base::Result<void> KvSequence::swap_in(KvSpill& spill, SpillId id) {
    DG_CHECK(swapped_ && swapped_->spill == &spill && swapped_->id == id,
             "the sequence is not what was swapped out as this");
    DG_TRY(pool_->make_room(swapped_->pages));
    std::vector<KvPage> fresh;
    std::vector<std::span<std::byte>> parts;
    for (std::uint32_t i = 0; i < swapped_->pages; ++i) {
        fresh.push_back(DG_TRY(pool_->take()));
        parts.emplace_back(fresh.back().bytes(), pool_->geometry().page_bytes());
    }
    DG_TRY(spill.load(id, parts));
    auto next = fresh.begin();
    for (KvPage& page : pages_) {
        if (!page) page = std::move(*next++);
    }
    drop_swapped();
    link_pages(0);
    return {};
}

void KvSequence::append_shared(std::vector<KvPage> pages) {
    DG_CHECK(tokens_ == capacity_tokens(), "pages are appended after whole pages only");
    const std::size_t before = pages_.size();
    std::ranges::move(pages, std::back_inserter(pages_));
    tokens_ = capacity_tokens();
    link_pages(before);
}

base::Result<void> KvSequence::append_copy(const KvPage& page, std::uint32_t tokens) {
    DG_CHECK(tokens_ == capacity_tokens(), "pages are appended after whole pages only");
    KvPage copy = DG_TRY(pool_->take());
    std::memcpy(copy.bytes(), page.bytes(), pool_->geometry().page_bytes());
    ++pool_->copies_;
    pages_.push_back(std::move(copy));
    tokens_ += tokens;
    link_pages(pages_.size() - 1);
    return {};
}

/// Brings the table up to date from page `first` on.
void KvSequence::link_pages(std::size_t first) {
    const std::size_t planes = views_.size() * 2;
    if (pages_.size() > table_pages_) {
        table_pages_ = std::max({kTablePagesMin, pages_.size(), table_pages_ * 2});
        table_.assign(planes * table_pages_, nullptr);
        first = 0;
    }
    const std::size_t plane_bytes = pool_->geometry().plane_bytes();
    for (std::size_t plane = 0; plane < planes; ++plane) {
        std::byte** const row = table_.data() + plane * table_pages_;
        for (std::size_t i = first; i < pages_.size(); ++i) {
            row[i] = pages_[i].bytes() + plane * plane_bytes;
        }
    }
    refresh_views();
}

void KvSequence::refresh_views() {
    for (std::size_t layer = 0; layer < views_.size(); ++layer) {
        std::byte** const keys = table_.data() + 2 * layer * table_pages_;
        views_[layer] = {std::span(keys, pages_.size()),
                         std::span(keys + table_pages_, pages_.size()),
                         pool_->geometry().page_tokens, pool_->geometry().type};
    }
}

}  // namespace engine
