-- TPC Benchmark H, revision 3.0.1, section 2.4.6: Forecasting Revenue Change Query (Q6), validation parameters.
-- 0.06 - 0.01 and 0.06 + 0.01 are written out: as doubles they are not 0.05 and 0.07.
SELECT sum(l_extendedprice * l_discount) AS revenue
FROM lineitem
WHERE l_shipdate >= '1994-01-01'
    AND l_shipdate < date('1994-01-01', '+1 year')
    AND l_discount BETWEEN 0.05 AND 0.07
    AND l_quantity < 24;
