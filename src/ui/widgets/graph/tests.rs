use proptest::prelude::*;
use ratatui::style::Color;

use super::*;

fn theme(glyphs: Glyphs) -> Theme {
    Theme {
        graph1: Style::new().fg(Color::Cyan),
        graph2: Style::new().fg(Color::Blue),
        warn: Style::new().fg(Color::Yellow),
        crit: Style::new().fg(Color::Red),
        glyphs,
        ..Theme::default()
    }
}

fn text(buf: &Buffer) -> Vec<String> {
    let area = buf.area;
    (area.y..area.bottom()).map(|y| (area.x..area.right()).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned()).collect()
}

fn points(values: &[f64]) -> Vec<Point> {
    (0..).zip(values).map(|(at, value)| Point { at, value: *value }).collect()
}

fn graph<'a>(points: &'a [Point], to: i64, theme: &Theme) -> Graph<'a> {
    Graph {
        series: vec![Series { name: "p95", style: theme.graph1, mark: '*', points, judged: true, filled: false }],
        warning: Some(500.0),
        critical: Some(2_000.0),
        scale: Scale::Log,
        unit: Unit::Millis,
        from: 0,
        to,
        joined: 1,
        failures: &[],
        labels: 6,
    }
}

fn drawn(graph: &Graph<'_>, width: u16, height: u16, theme: &Theme) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    graph.draw(area, &mut buf, theme);
    buf
}

#[test]
fn limits_stand_on_the_axis_and_the_line_is_warm_only_over_them() {
    let theme = theme(Glyphs::Braille);
    let values: Vec<f64> = (0..32).map(|n| if n < 16 { 100.0 } else { 1_000.0 }).collect();
    let points = points(&values);
    let buf = drawn(&graph(&points, 32, &theme), 23, 6, &theme);
    assert_eq!(
        text(&buf),
        ["   2 s│┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈", "      │        ⡖⠒⠒⠒⠒⠒⠒⠒", "500 ms│┈┈┈┈┈┈┈┈⡇┈┈┈┈┈┈┈", "      │        ⡇", "      │        ⡇", "   100│⣀⣀⣀⣀⣀⣀⣀⣀⠇",]
    );
    assert_eq!(buf[(15, 1)].fg, Color::Yellow);
    assert_eq!(buf[(15, 4)].fg, Color::Cyan);
    assert_eq!(buf[(8, 5)].fg, Color::Cyan);
    assert!(buf[(2, 2)].modifier.contains(Modifier::BOLD));
}

#[test]
fn a_gap_is_not_crossed_and_a_failure_is_marked_in_it() {
    let theme = theme(Glyphs::Braille);
    let mut values = vec![100.0; 32];
    for value in &mut values[12..20] {
        *value = f64::NAN;
    }
    let points = points(&values);
    let failures = [14, 15];
    let graph = Graph { failures: &failures, ..graph(&points, 32, &theme) };
    assert_eq!(text(&drawn(&graph, 23, 4, &theme))[3], "   100│⣀⣀⣀⣀⣀⣀ ×  ⣀⣀⣀⣀⣀⣀");
}

#[test]
fn a_spike_between_columns_stays_visible() {
    for glyphs in [Glyphs::Braille, Glyphs::Block, Glyphs::Ascii] {
        let theme = theme(glyphs);
        let mut values = vec![100.0; 4_000];
        values[2_001] = 3_000.0;
        let points = points(&values);
        let buf = drawn(&graph(&points, 4_000, &theme), 27, 6, &theme);
        let top: String = text(&buf)[0].chars().skip(7).collect();
        assert!(!top.trim().is_empty(), "{glyphs:?}: {:?}", text(&buf));
    }
}

#[test]
fn blocks_and_ascii_show_one_value_a_column() {
    let values: Vec<f64> = (0..12).map(|n| 50.0 * 1.4f64.powi(n)).collect();
    let points = points(&values);
    let block = theme(Glyphs::Block);
    assert_eq!(text(&drawn(&graph(&points, 12, &block), 19, 4, &block)), ["   2 s│┈┈┈┈┈┈┈┈┈▂▅▇", "500 ms│┈┈┈┈┈┈▂▄▇┈┈┈", "      │   ▁▄▆", "    50│▁▃▆"]);
    let ascii = theme(Glyphs::Ascii);
    assert_eq!(text(&drawn(&graph(&points, 12, &ascii), 19, 4, &ascii)), ["   2 s|----------**", "500 ms|------****--", "      |  ****", "    50|**"]);
}

#[test]
fn in_monochrome_each_line_carries_its_name() {
    let theme = Theme { mono: true, ..Theme::default() };
    let low = points(&[100.0; 16]);
    let high = points(&[400.0; 16]);
    let mut graph = graph(&low, 16, &theme);
    graph.series.push(Series { name: "p99", style: theme.graph2, mark: '+', points: &high, judged: false, filled: false });
    let rows = text(&drawn(&graph, 20, 6, &theme));
    assert!(rows[5].ends_with("p95"), "{rows:?}");
    assert!(rows.iter().any(|row| row.ends_with("p99")), "{rows:?}");
    graph.series[1].points = &low;
    let rows = text(&drawn(&graph, 20, 6, &theme));
    assert!(rows.iter().any(|row| row.ends_with("p95")) && rows.iter().any(|row| row.ends_with("p99")), "{rows:?}");
}

#[test]
fn a_filled_share_reaches_the_bottom() {
    let theme = theme(Glyphs::Braille);
    let points = points(&[0.0, 0.0, 2.0, 4.0]);
    let mut graph = graph(&points, 3, &theme);
    graph.series[0].filled = true;
    let graph = Graph { scale: Scale::Zero, unit: Unit::Percent, warning: Some(1.0), critical: None, labels: 4, joined: 1, ..graph };
    let buf = drawn(&graph, 15, 4, &theme);
    let rows = text(&buf);
    assert!(rows[0].starts_with("   4│") && rows[3].starts_with("   0│"), "{rows:?}");
    assert_eq!(buf[(14, 3)].symbol(), "⣿");
    assert_eq!((buf[(14, 3)].fg, buf[(14, 0)].fg), (Color::Cyan, Color::Yellow));
}

proptest! {
    #[test]
    fn any_series_stays_inside_and_two_draws_are_equal(
        one in prop::collection::vec((any::<i64>(), any::<f64>()), 0..60),
        two in prop::collection::vec((0i64..1_000, -10.0f64..1e7), 0..60),
        (from, to) in prop_oneof![Just((0i64, 1_000i64)), (any::<i64>(), any::<i64>())],
        (width, height, labels) in (0u16..60, 0u16..12, 0u16..9),
        (warning, critical) in (prop::option::of(any::<f64>()), prop::option::of(0.0f64..1e5)),
        failures in prop::collection::vec(any::<i64>(), 0..4),
        glyphs in prop_oneof![Just(Glyphs::Braille), Just(Glyphs::Block), Just(Glyphs::Ascii)],
        (mono, filled, joined, kind) in (any::<bool>(), any::<bool>(), any::<i64>(), 0..3),
    ) {
        let theme = Theme { mono, ..theme(glyphs) };
        let points = |from: &[(i64, f64)]| from.iter().map(|(at, value)| Point { at: *at, value: *value }).collect::<Vec<_>>();
        let (one, two) = (points(&one), points(&two));
        let graph = Graph {
            series: vec![
                Series { name: "p50", style: theme.graph3, mark: '.', points: &one, judged: false, filled },
                Series { name: "p95", style: theme.graph1, mark: '*', points: &two, judged: true, filled },
            ],
            warning,
            critical,
            scale: match kind { 0 => Scale::Log, 1 => Scale::Zero, _ => Scale::Floor(3.0) },
            unit: Unit::Millis,
            from,
            to,
            joined,
            failures: &failures,
            labels,
        };
        let outer = Rect::new(0, 0, 66, 15);
        let area = Rect::new(2, 2, width, height);
        let draw = || { let mut buf = Buffer::empty(outer); graph.draw(area, &mut buf, &theme); buf };
        let buf = draw();
        prop_assert_eq!(&buf, &draw());
        for y in 0..outer.height {
            for x in 0..outer.width {
                prop_assert!(area.contains((x, y).into()) || buf[(x, y)].symbol() == " ");
            }
        }
    }
}
