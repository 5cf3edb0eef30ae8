#include "engine/kv/session_table.h"

#include <utility>

namespace engine {
namespace {

/// The deepest node on both paths to the root.
const PrefixNode* common_ancestor(const PrefixNode* a, const PrefixNode* b) {
    while (a != b) {
        if (a->depth >= b->depth) {
            a = a->parent;
        } else {
            b = b->parent;
        }
    }
    return a;
}

}  // namespace

void SessionTable::update(std::string_view session, PrefixNode& tip, base::Instant now) {
    Name name{tip.scope->tenant, tip.scope->adapter, session};
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        protect(tip, nullptr);
        by_use_.push_back({name, &tip, now});
        by_name_.emplace(std::move(name), std::prev(by_use_.end()));
    } else {
        Session& known = *found->second;
        const PrefixNode* const same = common_ancestor(known.tip, &tip);
        protect(tip, same);
        release(*known.tip, same);
        known.tip = &tip;
        known.used = now;
        by_use_.splice(by_use_.end(), by_use_, found->second);
    }
    while (by_use_.size() > 1 &&
           (protected_pages_ > pages_max_ || by_use_.size() > sessions_max_)) {
        forget_oldest();
    }
    // One conversation that is longer than all protection may be is like any other text.
    if (protected_pages_ > pages_max_ || sessions_max_ == 0) forget_oldest();
}

void SessionTable::expire(base::Instant now) {
    while (!by_use_.empty() && now - by_use_.front().used > idle_) forget_oldest();
}

void SessionTable::forget_oldest() {
    release(*by_use_.front().tip, nullptr);
    by_name_.erase(by_use_.front().name);
    by_use_.pop_front();
}

void SessionTable::retreat_from(PrefixNode& leaf) {
    if (leaf.sessions_below == 0) return;
    for (auto session = by_use_.begin(); session != by_use_.end();) {
        const auto next = std::next(session);
        if (session->tip == &leaf) {
            session->tip = leaf.parent;
            if (leaf.parent->is_root()) {
                by_name_.erase(session->name);
                by_use_.erase(session);
            }
        }
        session = next;
    }
    leaf.sessions_below = 0;
    --protected_pages_;
}

/// Counts a session in at `tip` and above, up to but without `until` or the root.
void SessionTable::protect(PrefixNode& tip, const PrefixNode* until) {
    for (PrefixNode* node = &tip; node != until && !node->is_root(); node = node->parent) {
        if (node->sessions_below++ == 0) ++protected_pages_;
        tree_.reorder(*node);
    }
}

void SessionTable::release(PrefixNode& tip, const PrefixNode* until) {
    for (PrefixNode* node = &tip; node != until && !node->is_root(); node = node->parent) {
        if (--node->sessions_below == 0) --protected_pages_;
        tree_.reorder(*node);
    }
}

}  // namespace engine
