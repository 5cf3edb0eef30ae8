#include "sphere/audit/verify.h"

#include <fmt/format.h>

#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Result;
using Kind = Fault::Kind;

/// Walks the lines and keeps what should come next. After a fault it goes on from the line it
/// found, so that one fault is told once.
class Walk {
public:
    Walk(ChainHead anchor, const std::optional<ChainHead>& expected)
        : anchor_(std::move(anchor)), expected_(expected) {}

    Result<void> segment(const Segment& segment) {
        file_ = segment.path;
        line_ = 0;
        ++report_.segments;
        LineReader reader = DG_TRY(LineReader::open(segment.path));
        while (true) {
            auto line = reader.next();
            if (!line && line.error().code == Code::data_loss) {
                ++line_;
                fault(Kind::altered, line.error().message);
                return {};
            }
            const auto text = DG_TRY(std::move(line));
            if (!text) break;
            ++line_;
            if (line_ == 1) check_name(segment, *text);
            check_line(*text);
        }
        if (reader.unfinished_bytes() != 0) unfinished(reader.unfinished_bytes());
        return {};
    }

    VerifyReport finish() {
        line_ = 0;
        if (report_.head.seq < anchor_.seq) {
            cut_off(fmt::format("the log ends with event {}, its head says {}", report_.head.seq,
                                anchor_.seq));
        }
        if (expected_ && report_.head.seq < expected_->seq) {
            cut_off(fmt::format("the log ends with event {}, expected at least {}",
                                report_.head.seq, expected_->seq));
        }
        return std::move(report_);
    }

private:
    void check_name(const Segment& segment, std::string_view text) {
        const auto read = open_line(text);
        if (read && read->seq != segment.first_seq) {
            fault(Kind::out_of_order, fmt::format("begins with event {}, its name says {}",
                                                  read->seq, segment.first_seq));
        }
    }

    void check_line(std::string_view text) {
        pending_unfinished();
        ++report_.lines;
        const auto read = open_line(text);
        const std::uint64_t due = report_.head.seq + 1;
        if (!read) {
            fault(Kind::altered,
                  fmt::format("{}; event {} belongs here", read.error().message, due));
            report_.head = {due, ""};  // its hash is not known: the next line's prev is not held
            return;
        }
        if (read->seq > due) {
            fault(Kind::missing, fmt::format("event {} follows event {}: {} are missing", read->seq,
                                             report_.head.seq, read->seq - due));
        } else if (read->seq < due) {
            fault(Kind::out_of_order,
                  fmt::format("event {} stands where {} belongs", read->seq, due));
        } else if (!report_.head.hash.empty() && read->prev != report_.head.hash) {
            fault(Kind::forked, fmt::format("event {} follows another event {} than the one here",
                                            read->seq, report_.head.seq));
        }
        report_.head = {read->seq, std::string(read->hash)};
        check_anchor(anchor_, "the head");
        if (expected_) check_anchor(*expected_, "the expected head");
    }

    void check_anchor(const ChainHead& anchor, std::string_view what) {
        if (anchor.seq == report_.head.seq && anchor.hash != report_.head.hash) {
            fault(Kind::forked,
                  fmt::format("event {} has another hash than {} says", anchor.seq, what));
        }
    }

    /// Bytes without a newline are a fault unless they are the very end, behind the head.
    void unfinished(std::uint64_t bytes) {
        report_.unfinished_bytes = bytes;
        unfinished_file_ = file_;
        unfinished_line_ = line_ + 1;
        if (report_.head.seq < anchor_.seq) pending_unfinished();
    }
    void pending_unfinished() {
        if (report_.unfinished_bytes == 0) return;
        add({Kind::altered, unfinished_file_, unfinished_line_,
             fmt::format("{} bytes without an end; event {} belongs here", report_.unfinished_bytes,
                         report_.head.seq + 1)});
        report_.unfinished_bytes = 0;
    }

    void cut_off(std::string text) { fault(Kind::cut_off, std::move(text)); }
    void fault(Kind kind, std::string text) { add({kind, file_, line_, std::move(text)}); }
    void add(Fault fault) {
        if (report_.faults.size() < VerifyReport::kFaultsMax) {
            report_.faults.push_back(std::move(fault));
        }
    }

    ChainHead anchor_;
    std::optional<ChainHead> expected_;
    VerifyReport report_;
    std::string file_, unfinished_file_;
    std::uint64_t line_ = 0, unfinished_line_ = 0;
};

}  // namespace

std::string_view fault_name(Fault::Kind kind) {
    switch (kind) {
        case Kind::altered:
            return "altered";
        case Kind::missing:
            return "missing";
        case Kind::out_of_order:
            return "out of order";
        case Kind::forked:
            return "forked";
        case Kind::cut_off:
            return "cut off";
        case Kind::head_damaged:
            return "head damaged";
    }
    return "";
}

Result<VerifyReport> verify(const std::string& dir, const std::optional<ChainHead>& expected) {
    // The head first: what is appended meanwhile lies behind it.
    const HeadFile::Content anchor = DG_TRY(HeadFile::read(dir));
    const auto segments = DG_TRY(list_segments(dir));
    if (segments.empty() && !anchor.head && !anchor.damaged) {
        return base::fail_on(dir, Code::not_found, "{} holds no audit log", dir);
    }
    Walk walk(anchor.head.value_or(ChainHead{}), expected);
    for (const Segment& segment : segments) DG_TRY(walk.segment(segment));
    VerifyReport report = walk.finish();
    if (!anchor.head || anchor.damaged) {
        report.faults.insert(report.faults.begin(),
                             {Kind::head_damaged, dir + "/head", 0,
                              anchor.head ? "something in it was not written by the log"
                                          : "it is missing or unreadable"});
    }
    for (Fault& fault : report.faults) {
        if (fault.file.empty()) fault.file = dir;
    }
    return report;
}

}  // namespace sphere::audit
