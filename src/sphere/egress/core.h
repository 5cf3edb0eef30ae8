#pragma once
// Internal to the broker: the loop, the boxes it serves and what a session of a box may use. All of
// it belongs to the broker's thread but for post().

#include <sys/epoll.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/exec/worker.h"
#include "sphere/audit/redactor.h"
#include "sphere/egress/broker.h"
#include "sphere/egress/dns.h"
#include "sphere/egress/names.h"
#include "sphere/egress/rules.h"
#include "sphere/egress/target.h"

using SSL_CTX = struct ssl_ctx_st;

namespace sphere::egress {

class Core;
struct Box;

/// Something with descriptors in epoll. It may get events for a descriptor it has just closed.
class Handler {
public:
    virtual ~Handler() = default;
    virtual void on_ready() = 0;
};

/// A socket in a box's network that the broker listens on.
class ListenerHandler : public Handler {
public:
    virtual void rearm() {}    ///< a session has ended: there may be room again
    virtual void close() = 0;  ///< nothing is accepted from now on
};

/// One connection from a box, or a query over TCP. Ends by retire(), never by delete.
class Session : public Handler {
public:
    Session(Core& core, Box& box);
    ~Session() override;

    std::uint64_t id() const { return id_; }
    bool retired() const { return retired_; }
    Box& box() const { return box_; }
    base::Instant deadline() const { return deadline_; }
    /// Time is up.
    virtual void on_deadline() = 0;
    /// The box goes away, or its rules have changed.
    virtual void on_cut(const std::string& why) = 0;
    virtual void check_rules() {}

protected:
    void retire();
    void set_deadline(base::Duration from_now);

    Core& core_;
    Box& box_;

private:
    std::uint64_t id_ = 0;
    bool retired_ = false;
    base::Instant deadline_ = base::Instant::never();
};

/// One attempt from its decision to its end; reported once, by refuse(), finish() or destruction.
class Attempt {
public:
    Attempt(Core& core, Box& box, std::string target, std::string protocol);
    ~Attempt() { finish(); }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    /// Counts the call; why it is one too many, if it is.
    Refusal admit();
    void refuse(const std::string& why);
    void finish();
    bool open() const { return open_; }
    void set_protocol(std::string protocol) { record_.protocol = std::move(protocol); }
    void count_out(std::size_t bytes);
    void count_in(std::size_t bytes);

private:
    Core& core_;
    Box& box_;
    NetworkAttempt record_;
    bool open_ = true;
};

struct Resolved {
    enum class State { found, no_name, closed, failed } state = State::failed;
    std::vector<net::Address> addresses;
    std::string why;
};
using ResolveDone = std::function<void(const Resolved&)>;

struct Box {
    Box(std::string box_id, const NetworkPolicy& network) : id(std::move(box_id)), rules(network) {
        set_policy(network);
    }
    void set_policy(const NetworkPolicy& network);
    /// Bytes, of both directions, until bytes_max.
    std::uint64_t bytes_left() const;

    std::string id;
    NetworkPolicy policy;
    Rules rules;
    Names names;
    Secrets secrets;  ///< that have a header
    audit::Redactor redactor;
    std::shared_ptr<Meter> meter = std::make_shared<Meter>();
    std::vector<std::unique_ptr<ListenerHandler>> listeners;
    std::unordered_map<std::string, std::vector<ResolveDone>> resolving;
    std::uint32_t sessions = 0;
};

class Core {
public:
    explicit Core(Broker::Options options);
    ~Core();
    base::Result<void> start();
    void stop();

    /// Any thread: runs `task` on the loop's.
    void post(std::function<void()> task);
    bool on_loop() const { return std::this_thread::get_id() == thread_.get_id(); }

    void watch(int fd, Handler& handler, std::uint32_t events);
    void rearm(int fd, Handler& handler, std::uint32_t events);
    void unwatch(int fd);

    void add_box(std::unique_ptr<Box> box, std::vector<Listener> listeners);
    Box* find_box(const std::string& id);
    void remove_box(const std::string& id);
    void cut_refused(Box& box);  ///< sessions that the box's rules allow no more

    void add_session(std::unique_ptr<Session> session);
    /// Null once it is retired.
    Session* find_session(std::uint64_t id);
    bool may_accept(const Box& box) const;
    /// Has the listeners ask again: a session has ended.
    void wake_listeners(Box& box);

    /// The addresses of a name that pass the box's rules, now or later; on the loop.
    void resolve(Box& box, Names::Entry& entry, ResolveDone done);
    /// Decides and answers a query, now or later. `reply` is not called when the box is gone.
    void look_up(Box& box, const DnsQuestion& question,
                 std::function<void(const std::string& answer)> reply);

    void report(const Box& box, NetworkAttempt attempt);
    void deliver_reports();

    base::Instant now() const { return options_.clock.now(); }
    const Upstream& upstream() const { return *options_.upstream; }
    std::span<char> scratch() { return scratch_; }
    /// Made at its first use. Errors: failed_precondition without authorities to trust.
    base::Result<SSL_CTX*> tls_context();

private:
    friend class Session;
    void run();
    void run_posted();
    void check_deadlines();
    void finish_resolve(Box& box, const std::string& name,
                        const base::Result<std::vector<net::Address>>& found);

    Broker::Options options_;
    base::UniqueFd epoll_, wake_;
    std::thread thread_;
    base::Worker resolvers_;
    std::vector<char> scratch_;

    std::mutex mutex_;  // guards the two below
    std::vector<std::function<void()>> posted_;
    bool stopping_ = false;

    std::unordered_map<std::string, std::unique_ptr<Box>> boxes_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
    std::vector<std::uint64_t> retired_;
    std::vector<std::unique_ptr<Box>> removed_;
    std::vector<std::pair<std::string, NetworkAttempt>> reports_;
    std::uint64_t next_session_ = 1;
    base::Instant checked_at_{0};
    SSL_CTX* tls_ = nullptr;
};

}  // namespace sphere::egress
